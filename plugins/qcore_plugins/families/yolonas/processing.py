"""Preprocessing of YOLO-NAS: from what super-gradients stores to parameters of the letterbox."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qcore.plugin import FileError
from qcore_kit.checkpoints.standins import StandIn

IGNORED = {"ImagePermute"}
"""Steps that every tensor goes through anyway."""


def letterbox(processor: Any, size: tuple[int, int], file: str) -> dict[str, Any]:
    """Parameters of the letterbox for a stored image processor.

    Args:
        processor: The pickled object as stand-ins, or its configuration as lists and dicts.
        size: Height and width of the input.
        file: What to name in errors.

    Raises:
        FileError: A step that is not understood: the model would see other pixels than in training.
    """
    params: dict[str, Any] = {"channels": "RGB", "scale": None}
    for name, said in _steps(processor):
        if name == "ReverseImageChannels":
            params["channels"] = "BGR"
        elif name == "StandardizeImage":
            params["scale"] = 1 / float(said.get("max_value", 255.0))
        elif name == "DetectionLongestMaxSizeRescale":
            within = [int(side) for side in said["output_shape"]]
            params["fit_within"] = None if tuple(within) == size else within
        elif name in ("DetectionCenterPadding", "DetectionBottomRightPadding"):
            params["pad"] = "center" if "Center" in name else "bottom-right"
            params["pad_value"] = _grey(said.get("pad_value", 114), file)
        elif name not in IGNORED:
            raise FileError(
                f"{file}: the stored preprocessing has the step {name}, which letterbox cannot do",
                hint="say which pipeline to use instead with --loader-option preprocessing=coco, custom or roboflow",
            )
    return params


def trained_size(processor: Any) -> tuple[int, int] | None:
    """Height and width that the stored processor pads to."""
    for name, params in _steps(processor):
        if "Padding" in name and "output_shape" in params:
            height, width = params["output_shape"]
            return int(height), int(width)
    return None


def _steps(processor: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(processor, StandIn):
        inner = processor.state.get("processings")
        if inner is None:
            yield processor.short, processor.state
            return
        processor = inner
    if isinstance(processor, Mapping):
        for name, params in processor.items():
            if name == "ComposeProcessing":
                yield from _steps((params or {}).get("processings", ()))
            else:
                yield str(name), params or {}
    elif isinstance(processor, (list, tuple)):
        for step in processor:
            yield from _steps(step)
    elif isinstance(processor, str):
        yield processor, {}


def _grey(value: Any, file: str) -> int:
    values = {int(part) for part in value} if isinstance(value, (list, tuple)) else {int(value)}
    if len(values) != 1:
        raise FileError(f"{file}: the stored preprocessing pads with the colour {value}, letterbox pads with a grey")
    return values.pop()
