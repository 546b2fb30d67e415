"""The loader `ultralytics`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from qcore.plugin import FileError, Form, Model, Tensor, counted
from qcore_kit.checkpoints.standins import StandIn, children
from qcore_kit.checkpoints.stored import Stored, stored
from qcore_kit.checkpoints.unpickler import Checkpoint
from qcore_kit.classes.reading import class_names
from qcore_kit.classes.text import from_file
from qcore_kit.detectors.contracts import DETECT, LETTERBOX, contract, input_shape, size_note
from qcore_ultralytics import blocks
from qcore_ultralytics.network import MOST, Network

FAMILIES = (("A2C2f", ""), ("C2PSA", "YOLO11"), ("C2f", "YOLOv8"))
"""A block that only it has -> the family, the first that fits; empty for one that is not read."""
POSTPROCESS: dict[str, Any] = {**DETECT, "iou": 0.7, "max_detections": 300}
PROTOCOLS: dict[str, Any] = {
    "upstream": {
        "preprocess": {"fit": "long-side", "rounding": "ceil"},
        "postprocess": {"confidence": 0.001, "iou": 0.7, "max_detections": 300, "multi_label": True},
    }
}
"""The package's `val` on a static input."""


class RawHead(nn.Module):
    """A network that ends before its decode."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """One output a level."""
        return tuple(self.network.raw(x))


class UltralyticsLoader:
    """Checkpoints of YOLOv8, YOLO11 and YOLO26 detectors; nothing in them is run."""

    def matches(self, content: Checkpoint) -> str | None:
        """A few words on the model, or None."""
        found = detector(content)
        if found is None:
            return None
        family, letter = told(found)
        return f"{family}{letter}, {counted(int(found.config['nc']), 'class')}"

    def load(self, content: Checkpoint, *, options: Mapping[str, Any]) -> Model:
        """The float model with its contract.

        Options: `imgsz`, `head` (`decoded` or `raw`), `batch`, `names`, and `branch`.

        Raises:
            FileError: A block is not read, or keys or shapes do not fit.
            UsageError: The input size is not a multiple of the largest stride.
        """
        file = str(content.path)
        found = detector(content)
        if found is None:
            raise FileError(f"{file}: no YOLOv8, YOLO11 or YOLO26 detector inside", hint=f"qcore inspect {file}")
        network = build(found, file, str(options.get("branch") or "one2many"))
        listed = named(found.names, network.nc, options, file)
        network.names = listed
        shape = input_shape(
            options, int(max(network.strides)), found.size or (640, 640), int(found.config.get("ch", 3))
        )
        raw = options.get("head") == "raw"
        outputs = levels(network, shape) if raw else [whole(network, shape)]
        family, letter = told(found)
        described = contract(
            shape,
            outputs,
            listed,
            preprocess={**LETTERBOX, "stride": int(max(network.strides))},
            postprocess=POSTPROCESS,
            protocols=PROTOCOLS,
            provenance={
                "family": "ultralytics",
                "variant": f"{family}{letter}",
                "source": {"file": content.path.name, "sha256": content.sha256},
                **({"branch": network.branch} if network.head.bins == 1 else {}),
            },
        )
        notes = {
            "variant": f"{family}{letter}",
            "parameters": f"{sum(each.numel() for each in network.parameters()):,}",
            "strides": ", ".join(f"{stride:g}" for stride in network.strides),
            **size_note(options, found.size, shape),
        }
        module: nn.Module = RawHead(network) if raw else network
        return Model(Form("torch", encoding="float", precision="f32"), module.eval(), described, notes)


def detector(content: Checkpoint) -> Stored | None:
    """The detector in a checkpoint, or None where it is of another family or for another task."""
    found = stored(content)
    if found is None or not found.config or found.family:
        return None
    rows = [str(row[2]).removeprefix("nn.") for part in ("backbone", "head") for row in found.config[part]]
    family = next((name for block, name in FAMILIES if block in rows), "")
    if not family or rows[-1] != "Detect" or set(rows) & {"RepNCSPELAN4", "ELAN1"}:
        return None
    last = f"model.{len(rows) - 1}."
    return found if any(key.startswith(last) and "cv3.0.2.weight" in key for key in found.weights) else None


def told(found: Stored) -> tuple[str, str]:
    """Family and size."""
    rows = [str(row[2]) for part in ("backbone", "head") for row in found.config[part]]
    family = next(name for block, name in FAMILIES if block in rows)
    last = f"model.{len(rows) - 1}."
    if not any(key.startswith(f"{last}dfl") for key in found.weights):
        family = "YOLO26"
    return family, str(found.config.get("scale") or "")


def build(found: Stored, file: str, branch: str) -> Network:  # noqa: C901 - one check after the other
    """The network with its weights, strict about keys and shapes.

    Raises:
        FileError: A block is not read; a key is missing, left over, or of another shape.
    """
    weights = {key: value.float() for key, value in found.weights.items() if not key.endswith("num_batches_tracked")}
    try:
        network = Network(found.config, {key: tuple(value.shape) for key, value in weights.items()}, branch=branch)
    except FileError as error:
        raise FileError(f"{file}: {error.message}", hint=error.hint) from error
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise FileError(f"{file}: its config cannot be built", hint="train with a published config") from error
    if not any(".bn." in key for key in weights):
        for module in list(network.modules()):
            if isinstance(module, blocks.Conv):
                module.fuse()
    if found.source is not None:
        activate(network, found.source, file)
    own = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    missing, over = sorted(set(own) - set(weights)), sorted(set(weights) - set(own))
    if missing or over:
        told_ = f"{missing[0]} is missing" if missing else f"{over[0]} has no place"
        raise FileError(
            f"{file}: its weights are not those of its config: {told_}",
            hint="a newer release may have changed the blocks; export to ONNX there, and use --loader onnx",
        )
    if wrong := [key for key in own if own[key].shape != weights[key].shape]:
        raise FileError(f"{file}: {wrong[0]} is {list(weights[wrong[0]].shape)}, not {list(own[wrong[0]].shape)}")
    network.load_state_dict(weights, strict=False)
    drop = "one2one_" if network.prefix == "" else ""
    for name in (f"{drop}cv2", f"{drop}cv3"):
        if name in dict(network.head.named_children()):
            delattr(network.head, name)
    return network.eval()


def activate(network: Network, source: StandIn, file: str) -> None:
    """Give each unit the activation that was pickled with it: neither keys nor the config tell it.

    Raises:
        FileError: It is none of SiLU and none.
    """
    acts = dict(units(source, ""))
    for path, module in network.named_modules():
        if isinstance(module, blocks.Conv) and path in acts:
            kind = acts[path]
            if kind not in ("SiLU", "Identity"):
                raise FileError(f"{file}: {path} has the activation {kind}", hint="SiLU is what is read")
            module.act = nn.SiLU() if kind == "SiLU" else nn.Identity()


def units(module: StandIn, path: str) -> Iterator[tuple[str, str]]:
    """Path -> class of the activation, of every unit below a pickled module."""
    members = children(module)
    act = members.get("act")
    if isinstance(act, StandIn) and "conv" in members:
        yield path, act.qualified.rpartition(".")[2]
    for name, child in members.items():
        if isinstance(child, StandIn):
            yield from units(child, f"{path}.{name}" if path else name)


def named(stored_names: Any, count: int, options: Mapping[str, Any], file: str) -> list[str]:
    """Class names: of the option, of the file, or numbers.

    Raises:
        FileError: They are no names, or another number than there are classes.
    """
    if options.get("names"):
        return list(class_names(from_file(options["names"]), str(options["names"]), count=count))
    listed = class_names(stored_names, file, count=count, hint="pass other names with --names FILE")
    return list(listed) or [str(index) for index in range(count)]


def whole(network: Network, shape: Sequence[Any]) -> Tensor:
    """The decoded output."""
    cells = sum(height * width for height, width in _grids(network, shape))
    if network.prefix:
        count = min(MOST, cells)
        tensor = Tensor("output0", "float32", (shape[0], count, 6), None, "corners-score-class", "nms")
        return replace(tensor, attributes={"classes": network.nc})
    return Tensor("output0", "float32", (shape[0], 4 + network.nc, cells), None, "boxes-classes", "decoded")


def levels(network: Network, shape: Sequence[Any]) -> list[Tensor]:
    """The outputs before the decode."""
    head = network.head
    bins = {"bins": list(range(head.bins))} if head.bins > 1 else {}
    meaning = "boxes-classes" if bins else "distances-classes"
    return [
        Tensor(
            f"raw{place}",
            "float32",
            (shape[0], 4 * head.bins + network.nc, *grid),
            None,
            meaning,
            "raw",
            {"stride": int(network.strides[place]), **bins},
        )
        for place, grid in enumerate(_grids(network, shape))
    ]


def _grids(network: Network, shape: Sequence[Any]) -> list[tuple[int, int]]:
    return [(shape[2] // int(stride), shape[3] // int(stride)) for stride in network.strides]
