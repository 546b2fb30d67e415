"""The loader `yolov5`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from qcore.contract import Contract, Step
from qcore.contract import Tensor as TensorSpec
from qcore.errors import FileError, UsageError
from qcore.forms import Form
from qcore.model import Model
from qcore_plugins.checkpoint.standins import StandIn, named_modules, state_dict
from qcore_plugins.checkpoint.unpickler import Checkpoint
from qcore_plugins.yolov5 import blocks
from qcore_plugins.yolov5.network import ACTIVATIONS, YoloV5

PREPROCESS: dict[str, Any] = {
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
POSTPROCESS: dict[str, Any] = {
    "confidence": 0.25,
    "iou": 0.45,
    "max_detections": 1000,
    "multi_label": False,
    "class_agnostic": False,
}
PROTOCOLS: dict[str, Any] = {
    "upstream": {
        "preprocess": {"fit": "long-side", "rounding": "ceil", "interpolation": "area-down"},
        "postprocess": {"confidence": 0.001, "iou": 0.65, "max_detections": 300, "multi_label": True},
    }
}
"""Upstream's val pipeline; IoU .65 is what its published COCO figures were made with."""
MULTIPLES = {(0.33, 0.25): "n", (0.33, 0.5): "s", (0.67, 0.75): "m", (1.0, 1.0): "l", (1.33, 1.25): "x"}
"""(depth_multiple, width_multiple) of the published variants."""


class RawHead(nn.Module):
    """The network without its decode: one output a level."""

    def __init__(self, network: YoloV5) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits per level, `[B, na, ny, nx, 5 + nc]`."""
        return tuple(self.network.raw(x))


class YoloV5Loader:
    """YOLOv5 checkpoints: upstream's pickles, and plain dictionaries of state dict, config, names and stride."""

    def matches(self, content: Checkpoint) -> str | None:
        """A few words on the model, or None where the file holds no YOLOv5 detector."""
        found = _contents(content)
        if found is None:
            return None
        config, weights, _, _ = found
        return f"YOLOv5 {variant(config)}, {config.get('nc')} classes, {len(weights)} tensors"

    def load(self, content: Checkpoint, *, options: Mapping[str, Any]) -> Model:
        """The float model with its contract.

        Options: `imgsz` (int or (height, width)), `head` (`decoded` or `raw`), `batch`.

        Raises:
            FileError: The config names an unsupported block, or keys or shapes do not fit.
            UsageError: The input size is not a multiple of the largest stride.
        """
        found = _contents(content)
        if found is None:
            raise FileError(
                f"{content.path}: no YOLOv5 detector inside", hint=f"qcore inspect {content.path} without --loader"
            )
        config, weights, names, source = found
        network = build(config, weights, names, source, str(content.path))
        stride = int(max(network.strides))
        wanted = options.get("imgsz")
        size = input_size(_trained_size(content, stride) if wanted is None else wanted, stride)
        raw = options.get("head") == "raw"
        batch = int(options.get("batch", 1))
        if batch < 1:
            raise UsageError(f"batch {batch} is not a positive number")
        levels = [(size[0] // int(s), size[1] // int(s)) for s in network.strides]
        anchors = (network.detect.anchors * torch.tensor(network.strides).view(-1, 1, 1)).tolist()
        na, no = network.detect.na, network.detect.no
        outputs = (
            tuple(
                TensorSpec(f"raw{index}", "float32", (batch, na, *level, no), None, "boxes-objectness-classes", "raw",
                           {"stride": int(network.strides[index]), "anchors": anchors[index]})
                for index, level in enumerate(levels)
            )
            if raw
            else (_decoded(batch, na * sum(h * w for h, w in levels), no),)
        )  # fmt: skip
        contract = _contract((batch, 3, *size), outputs, network.names, stride)
        said = {
            "family": "yolov5",
            "variant": variant(config),
            "source": {"file": content.path.name, "sha256": content.sha256},
        }
        parameters = sum(parameter.numel() for parameter in network.parameters())
        notes = {"parameters": f"{parameters:,}", "strides": ", ".join(f"{s:g}" for s in network.strides)}
        module = RawHead(network) if raw else network
        form = Form("torch", encoding="float", precision="f32")
        return Model(form, module.eval(), _with(contract, said), notes)

    def describe(
        self,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        *,
        names: Sequence[str] | None,
        options: Mapping[str, Any],  # noqa: ARG002
    ) -> Contract:
        """The contract of a file that another exporter wrote from a YOLOv5 model with a decoded head.

        Raises:
            FileError: Its input or output is not of that kind, or the number of names is another.
        """
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            raise FileError(f"a YOLOv5 export has one input [B, 3, H, W], this file has {_shapes(inputs)}")
        decoded = [tensor for tensor in outputs if len(tensor.shape) == 3]
        if len(decoded) != 1 or not isinstance(decoded[0].shape[2], int):
            raise FileError(f"a YOLOv5 export has one output [B, N, 5 + classes], this file has {_shapes(outputs)}")
        output, classes = decoded[0], int(decoded[0].shape[2]) - 5
        given = list(names) if names else [str(index) for index in range(classes)]
        if len(given) != classes:
            raise FileError(f"{len(given)} class names for an output with {classes} classes", hint="check --names")
        described = TensorSpec(output.name, output.dtype, output.shape, None, "boxes-objectness-classes", "decoded")
        contract = _contract(inputs[0].shape, (described,), given, 32)
        first = TensorSpec(inputs[0].name, inputs[0].dtype, inputs[0].shape, "NCHW")
        return Contract(**{**vars(contract), "inputs": (first,)})


def build(
    config: Mapping[str, Any], weights: Mapping[str, Tensor], names: Sequence[str], source: StandIn | None, file: str
) -> YoloV5:
    """The network with its weights, strict about keys and shapes.

    Raises:
        FileError: A key is missing, left over, or of another shape.
    """
    try:
        network = YoloV5(config, names)
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise FileError(f"{file}: the stored config cannot be built ({error})") from error
    except FileError as error:
        raise FileError(f"{file}: {error.message}", hint=error.hint) from error
    fused = [name for name, part in network.named_modules() if isinstance(part, blocks.Conv) and _fused(name, weights)]
    for name in fused:
        part = network.get_submodule(name)
        assert isinstance(part, blocks.Conv)  # noqa: S101 - chosen by type above
        part.without_bn()
    _activations(network, config, source)
    given = {key: value for key, value in weights.items() if not key.endswith(".anchor_grid")}
    wanted = network.state_dict()
    problems = [f"missing {key}" for key in wanted if key not in given]
    problems += [f"unexpected {key}" for key in given if key not in wanted]
    problems += [
        f"{key} is {list(given[key].shape)}, the config makes it {list(value.shape)}"
        for key, value in wanted.items()
        if key in given and given[key].shape != value.shape and not key.endswith(".anchors")
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise FileError(f"{file}: weights and config do not fit: {'; '.join(problems[:3])}{more}")
    network.detect.anchors = torch.empty_like(given[_anchors_key(given)], dtype=torch.float32)
    network.load_state_dict({key: _float(value) for key, value in given.items()}, strict=True)
    return network.eval().requires_grad_(False)


def _float(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def _anchors_key(weights: Mapping[str, Tensor]) -> str:
    return next(key for key in weights if key.endswith(".anchors"))


def _fused(name: str, weights: Mapping[str, Tensor]) -> bool:
    return f"{name}.conv.bias" in weights and f"{name}.bn.weight" not in weights


def _activations(network: YoloV5, config: Mapping[str, Any], source: StandIn | None) -> None:
    """Give every block the activation it was trained with: the pickled object's class, else the config's expression."""
    pickled = {name: part for name, part in named_modules(source) if name.endswith(".act")} if source else {}
    for name, part in network.named_modules():
        if not isinstance(part, (blocks.Conv, blocks.BottleneckCSP)):
            continue
        if (found := pickled.get(f"{name}.act")) is not None:
            part.act = _activation(found.short, found.state)
        elif config.get("activation") and not isinstance(part.act, nn.Identity):
            expression = str(config["activation"]).removeprefix("nn.").removeprefix("torch.nn.")
            word, _, rest = expression.partition("(")
            number = rest.rstrip(") ").partition("=")[2] or rest.rstrip(") ")
            part.act = _activation(word, {"negative_slope": float(number)} if word == "LeakyReLU" and number else {})


def _activation(name: str, state: Mapping[str, Any]) -> nn.Module:
    if name not in ACTIVATIONS:
        raise FileError(f"activation {name} is not supported", hint=f"supported: {', '.join(sorted(ACTIVATIONS))}")
    if name == "LeakyReLU":
        return nn.LeakyReLU(float(state.get("negative_slope", 0.01)))
    return ACTIVATIONS[name]()


def _contents(
    content: Checkpoint,
) -> tuple[dict[str, Any], dict[str, Tensor], list[str], StandIn | None] | None:
    """Config, weights, names and the pickled module, or None where this is no YOLOv5 detector."""
    data = content.data
    if isinstance(data, Mapping) and data.get("family") == "yolov5" and isinstance(data.get("state_dict"), Mapping):
        return dict(data["config"]), dict(data["state_dict"]), [str(name) for name in data.get("names", ())], None
    module = data
    if isinstance(data, Mapping):
        module = data.get("ema") if isinstance(data.get("ema"), StandIn) else data.get("model")
    if not isinstance(module, StandIn) or module.qualified.startswith("ultralytics."):
        return None
    config = module.state.get("yaml")
    if not isinstance(config, Mapping) or not config.get("head"):
        return None
    weights = state_dict(module)
    last = config["head"][-1][2]
    if last != "Detect" or not any(key.endswith(".anchors") for key in weights):
        return None
    names = module.state.get("names") or ()
    listed = [names[key] for key in sorted(names)] if isinstance(names, Mapping) else list(names)
    merged = {**config, "nc": int(module.state.get("nc") or config["nc"])}
    return merged, weights, [str(name) for name in listed], module


def variant(config: Mapping[str, Any]) -> str:
    """`n` to `x`, with a 6 for the four-level models, or `custom`."""
    key = (float(config.get("depth_multiple", 1)), float(config.get("width_multiple", 1)))
    levels = len(config["head"][-1][0]) if config.get("head") else 0
    rows = len(config.get("backbone", ())) + len(config.get("head", ()))
    size = MULTIPLES.get(key)
    if size is None or (levels, rows) not in {(3, 25), (4, 34)}:
        return "custom"
    return size + ("6" if levels == 4 else "")


def input_size(wanted: Any, stride: int) -> tuple[int, int]:
    """Height and width.

    Raises:
        UsageError: Not one or two positive multiples of the stride.
    """
    try:
        sizes = (int(wanted), int(wanted)) if isinstance(wanted, (int, str, float)) else tuple(map(int, wanted))
    except (TypeError, ValueError):
        raise UsageError(f"input size {wanted!r} is not one or two numbers") from None
    if len(sizes) != 2 or any(size <= 0 or size % stride for size in sizes):
        fit = " ".join(str(max(stride, math.ceil(size / stride) * stride)) for size in sizes)
        raise UsageError(
            f"input size {' x '.join(map(str, sizes))} does not fit: this model needs multiples of {stride}",
            hint=f"--imgsz {fit}",
        )
    return sizes[0], sizes[1]


def _trained_size(content: Checkpoint, stride: int) -> int:
    if isinstance(content.data, Mapping) and isinstance(content.data.get("imgsz"), int):
        return int(content.data["imgsz"])
    return 1280 if stride == 64 else 640


def _decoded(batch: int, rows: int, no: int) -> TensorSpec:
    return TensorSpec("output0", "float32", (batch, rows, no), None, "boxes-objectness-classes", "decoded")


def _contract(
    shape: Sequence[int | str], outputs: tuple[TensorSpec, ...], names: Sequence[str], stride: int
) -> Contract:
    return Contract(
        task="detection",
        inputs=(TensorSpec("images", "float32", tuple(shape), "NCHW"),),
        outputs=outputs,
        preprocess=Step("letterbox", {**PREPROCESS, "stride": stride}),
        postprocess=Step("yolo", POSTPROCESS),
        classes=tuple(names),
        protocols=PROTOCOLS,
    )


def _with(contract: Contract, provenance: Mapping[str, Any]) -> Contract:
    return Contract(**{**vars(contract), "provenance": provenance})


def _shapes(tensors: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{tensor.name} {list(tensor.shape)}" for tensor in tensors)
