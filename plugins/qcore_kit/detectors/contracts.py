"""The parts of a contract that the detector families share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from qcore.plugin import Contract, FileError, Step, Tensor, UsageError, counted

LETTERBOX: dict[str, Any] = {
    "fit": "contain",
    "fit_within": None,
    "rounding": "round",
    "interpolation": "linear",
    "upscale": True,
    "pad": "center",
    "pad_value": 114,
    "channels": "RGB",
    "scale": 1 / 255,
    "rect": False,
    "stride": 32,
}
"""How YOLOv5 and YOLOv9 feed pictures in detection."""

DETECT: dict[str, Any] = {
    "confidence": 0.25,
    "iou": 0.45,
    "max_detections": 1000,
    "multi_label": False,
    "class_agnostic": False,
}
"""Their thresholds in detection."""
CHANNELS = 16
"""Most channels that a picture has."""
DYNAMIC = "batch"
"""Name of a dynamic batch dimension."""
LARGEST, TYPICAL = 8192, 640
"""Longest side of an input in pixels: at 8192 x 8192, one feature map of a small detector takes 1 GB."""


def contract(
    shape: Sequence[int | str],
    outputs: Sequence[Tensor],
    names: Sequence[str],
    *,
    preprocess: Mapping[str, Any],
    postprocess: Mapping[str, Any],
    protocols: Mapping[str, Any],
    provenance: Mapping[str, Any] | None = None,
) -> Contract:
    """A detector's contract; the input is called `images`."""
    return Contract(
        task="detection",
        inputs=(Tensor("images", "float32", tuple(shape), "NCHW"),),
        outputs=tuple(outputs),
        preprocess=Step("letterbox", {**preprocess, **_channels(shape)}),
        postprocess=Step("yolo", postprocess),
        classes=tuple(names),
        protocols=protocols,
        provenance=provenance or {},
    )


def _channels(shape: Sequence[int | str]) -> dict[str, str]:
    """Order of the channels where there are not three: grey, or as the arrays have them."""
    if len(shape) != 4 or 3 in (shape[1], shape[3]) or not isinstance(shape[1], int):
        return {}
    return {"channels": "gray" if 1 in (shape[1], shape[3]) else "given"}


def input_size(wanted: Any, stride: int) -> tuple[int, int]:
    """Height and width from one number or two.

    Raises:
        UsageError: Not one or two positive multiples of the stride, or a side longer than `LARGEST`.
    """
    try:
        sizes = (int(wanted), int(wanted)) if isinstance(wanted, (int, str, float)) else tuple(map(int, wanted))
    except (TypeError, ValueError):
        raise UsageError(f"input size {wanted!r} is not one or two numbers") from None
    if any(size > LARGEST for size in sizes):
        raise UsageError(
            f"input size {' x '.join(map(str, sizes))} is too large: a side has at most {LARGEST} pixels",
            hint=f"choose a smaller --imgsz; most models are trained at {TYPICAL}",
        )
    if len(sizes) != 2 or any(size <= 0 or size % stride for size in sizes):
        fit = " ".join(str(max(stride, math.ceil(size / stride) * stride)) for size in sizes)
        raise UsageError(
            f"input size {' x '.join(map(str, sizes))} does not fit: this model needs multiples of {stride}",
            hint=f"--imgsz {fit}",
        )
    return sizes[0], sizes[1]


def input_shape(
    options: Mapping[str, Any], stride: int, trained: Sequence[int], channels: int = 3
) -> tuple[int | str, int, int, int]:
    """`[B, C, H, W]` from the options `imgsz` and `batch`; a dynamic batch is called `batch`.

    Args:
        options: Of the loader.
        stride: Of the model, in pixels.
        trained: Height and width of the training, used without `imgsz`; rounded up to the stride as training does it.
        channels: Of the input.

    Raises:
        UsageError: A size that is no multiple of the stride, or a batch that is neither a number from 1 nor `dynamic`.
    """
    wanted = options.get("imgsz")
    if wanted is None:
        wanted = [math.ceil(side / stride) * stride for side in trained]
    return (batch_size(options.get("batch", 1)), channels, *input_size(wanted, stride))


def size_note(options: Mapping[str, Any], trained: Sequence[int] | None, shape: Sequence[Any]) -> dict[str, str]:
    """Where the input size comes from, for `qcore inspect`."""
    if options.get("imgsz") is not None:
        return {}
    told = f"{shape[2]}x{shape[3]}"
    if trained is None:
        return {"input size": f"{told}, the family's: the file does not say what it was trained at"}
    return {"input size": f"{told}, trained at {trained[0]}x{trained[1]}"}


def batch_size(wanted: Any) -> int | str:
    """A number from 1, or the name of the dynamic dimension.

    Raises:
        UsageError: Neither.
    """
    if wanted == "dynamic":
        return DYNAMIC
    if not str(wanted).isdigit() or int(wanted) < 1:
        raise UsageError(f"batch {wanted} is neither a positive number nor dynamic")
    return int(wanted)


def layout(shape: Sequence[int | str]) -> str | None:
    """`NCHW` or `NHWC`: the axis of the channels is the short one; None for what is no batch of pictures."""
    if len(shape) != 4:
        return None
    first, last = (isinstance(size, int) and 0 < size <= CHANNELS for size in (shape[1], shape[3]))
    return "NHWC" if last and not first else "NCHW"


def exported_input(inputs: Sequence[Tensor], family: str) -> Tensor:
    """The one input of an exported file.

    Raises:
        FileError: There are more, or it is no picture.
    """
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise FileError(f"a {family} export has one input [B, 3, H, W], this file has {shapes(inputs)}")
    return replace(inputs[0], layout=layout(inputs[0].shape))


def exported(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    names: Sequence[str] | None,
    *,
    family: str,
    meaning: str,
    axis: int,
    before: int,
    protocols: Mapping[str, Any],
) -> Contract:
    """The contract of a file with one decoded output, written by another exporter.

    Args:
        inputs: Of the file.
        outputs: Of the file.
        names: Class names; None for numbers.
        family: What to call it in errors.
        meaning: Of the output.
        axis: Of the output's three, where boxes and classes stand.
        before: Numbers on that axis before the first class.
        protocols: Of the family.

    Raises:
        FileError: Its input or output is not of that kind, or the number of names is another.
    """
    picture = exported_input(inputs, family)
    decoded = [tensor for tensor in outputs if len(tensor.shape) == 3]
    if len(decoded) != 1 or not isinstance(decoded[0].shape[axis], int):
        wanted = ["B", "N", "N"]
        wanted[axis] = f"{before} + classes"
        raise FileError(f"a {family} export has one output [{', '.join(wanted)}], this file has {shapes(outputs)}")
    output = replace(decoded[0], meaning=meaning, stage="decoded")
    given = class_names(names, int(decoded[0].shape[axis]) - before)
    described = contract(picture.shape, [output], given, preprocess=LETTERBOX, postprocess=DETECT, protocols=protocols)
    return replace(described, inputs=(picture,))


def class_names(names: Sequence[str] | None, count: int) -> list[str]:
    """The names given, or numbers.

    Raises:
        FileError: Another number of names than of classes.
    """
    given = list(names) if names else [str(index) for index in range(count)]
    if len(given) != count:
        raise FileError(
            f"{counted(len(given), 'class name')} for an output with {counted(count, 'class')}", hint="check --names"
        )
    return given


def shapes(tensors: Sequence[Tensor]) -> str:
    """Names and shapes, for errors."""
    return ", ".join(f"{tensor.name} {list(tensor.shape)}" for tensor in tensors)
