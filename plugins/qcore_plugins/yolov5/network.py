"""YOLOv5 built from the config dict that every checkpoint carries."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from qcore.errors import FileError
from qcore_plugins.heads.yolov5 import decode
from qcore_plugins.yolov5 import blocks

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "SiLU": nn.SiLU,
    "ReLU": nn.ReLU,
    "ReLU6": nn.ReLU6,
    "LeakyReLU": nn.LeakyReLU,
    "Hardswish": nn.Hardswish,
    "Mish": nn.Mish,
    "GELU": nn.GELU,
    "ELU": nn.ELU,
    "Sigmoid": nn.Sigmoid,
    "Identity": nn.Identity,
}
"""Activations by class name; a config's expression is looked up here, never evaluated."""

SUPPORTED = sorted({*blocks.WIDE, "Concat", "Contract", "Expand", "nn.Upsample", "nn.BatchNorm2d", "nn.MaxPool2d"})


class Detect(nn.Module):
    """The head: one 1x1 convolution a level."""

    anchors: Tensor

    def __init__(self, nc: int, anchors: Sequence[Sequence[float]] | int, channels: Sequence[int]) -> None:
        super().__init__()
        self.nc = nc
        self.no = nc + 5
        if isinstance(anchors, int):
            values = torch.zeros(len(channels), anchors, 2)
        else:
            values = torch.tensor(anchors, dtype=torch.float32).view(len(channels), -1, 2)
        self.na = values.shape[1]
        self.m = nn.ModuleList(nn.Conv2d(c, self.no * self.na, 1) for c in channels)
        self.register_buffer("anchors", values)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Logits per level, `[B, na, ny, nx, 5 + nc]`."""
        levels = []
        for convolution, x in zip(self.m, features, strict=True):
            y = convolution(x)
            b, _, ny, nx = y.shape
            levels.append(y.view(b, self.na, self.no, ny, nx).permute(0, 1, 3, 4, 2).contiguous())
        return levels


class YoloV5(nn.Module):
    """A YOLOv5 detector.

    Attributes:
        config: The dict it was built from.
        strides: Input pixels per cell, one a level.
        nc: Number of classes.
        names: Class names.
    """

    def __init__(self, config: Mapping[str, Any], names: Sequence[str] = ()) -> None:
        """Build the network with fresh weights.

        Args:
            config: Keys of upstream's yaml: nc, depth_multiple, width_multiple, anchors, backbone, head, ch.
            names: Class names; numbers by default.

        Raises:
            FileError: A row names a block that is not supported.
        """
        super().__init__()
        self.config = dict(config)
        self.nc = int(config["nc"])
        self.names = list(names) or [str(index) for index in range(self.nc)]
        layers, self.sources, self.strides = _layers(self.config)
        self.model = nn.Sequential(*layers)
        self.detect.anchors /= torch.tensor(self.strides, dtype=torch.float32).view(-1, 1, 1)

    @property
    def detect(self) -> Detect:
        """The head."""
        head = self.model[-1]
        assert isinstance(head, Detect)  # noqa: S101 - _layers ends with one
        return head

    def forward(self, x: Tensor) -> Tensor:
        """RGB in 0..1 `[B, 3, H, W]` -> decoded `[B, N, 5 + nc]` in input pixels; sides multiples of the stride."""
        return decode(self.raw(x), self.detect.anchors, self.strides)

    def raw(self, x: Tensor) -> list[Tensor]:
        """Logits per level, `[B, na, ny, nx, 5 + nc]`."""
        outputs: list[Any] = []
        for layer, source in zip(self.model, self.sources, strict=True):
            given = [outputs[index] if index >= 0 else x for index in source]
            several = len(given) > 1 or isinstance(layer, (blocks.Concat, Detect))
            outputs.append(layer(given if several else given[0]))
        levels: list[Tensor] = outputs[-1]
        return levels


def _layers(config: Mapping[str, Any]) -> tuple[list[nn.Module], list[list[int]], list[float]]:
    """Modules, their source layers (-1 is the picture), and the stride of each level."""
    nc, anchors = int(config["nc"]), config["anchors"]
    na = anchors if isinstance(anchors, int) else len(anchors[0]) // 2
    rows = [*config["backbone"], *config["head"]]
    layers: list[nn.Module] = []
    sources: list[list[int]] = []
    widths: list[int] = []
    scales: list[float] = []
    first = int(config.get("ch") or config.get("channels") or 3)
    for index, row in enumerate(rows):
        origin, number, name, arguments = row
        origins = [origin] if isinstance(origin, int) else list(origin)
        source = [index + at if at < 0 else at for at in origins]
        inputs = [widths[at] if at >= 0 else first for at in source]
        given = [_argument(value, nc, anchors) for value in arguments]
        if name == "Detect":
            if index != len(rows) - 1:
                raise FileError(f"row {index} of the config: Detect is not the last row")
            layers.append(Detect(nc, given[1] if len(given) > 1 else anchors, inputs))
            sources.append(source)
            return layers, sources, [scales[at] for at in source]
        repeats = max(round(number * float(config.get("depth_multiple", 1.0))), 1) if number > 1 else number
        layer, width = _layer(str(name), given, inputs, repeats, config, na * (nc + 5), index)
        layers.append(layer)
        sources.append(source)
        widths.append(width)
        scales.append((scales[source[0]] if source[0] >= 0 else 1.0) * _stride(layer))
    raise FileError(f"the config ends with {rows[-1][2] if rows else 'nothing'}, not with Detect")


def _layer(
    name: str, given: list[Any], inputs: list[int], repeats: int, config: Mapping[str, Any], no: int, index: int
) -> tuple[nn.Module, int]:
    if name in blocks.WIDE:
        width = int(given[0])
        if width != no:
            divisor = int(config.get("channel_multiple") or 8)
            width = math.ceil(width * float(config.get("width_multiple", 1.0)) / divisor) * divisor
        counted = [repeats] if name in blocks.REPEATED else []
        arguments = [inputs[0], width, *counted, *given[1:]]
        return _repeated(lambda: blocks.WIDE[name](*arguments), 1 if counted else repeats), width
    makers: dict[str, Callable[[], tuple[nn.Module, int]]] = {
        "Concat": lambda: (blocks.Concat(*given), sum(inputs)),
        "Contract": lambda: (blocks.Contract(*given), inputs[0] * given[0] ** 2),
        "Expand": lambda: (blocks.Expand(*given), inputs[0] // given[0] ** 2),
        "nn.Upsample": lambda: (nn.Upsample(*given), inputs[0]),
        "nn.MaxPool2d": lambda: (nn.MaxPool2d(*given), inputs[0]),
        "nn.BatchNorm2d": lambda: (
            nn.BatchNorm2d(inputs[0], eps=blocks.BN_EPS, momentum=blocks.BN_MOMENTUM),
            inputs[0],
        ),
    }
    if name in makers:
        return makers[name]()
    raise FileError(
        f"row {index} of the config: block {name} is not supported by the YOLOv5 loader",
        hint=f"supported: {', '.join(SUPPORTED)}, and Detect as the last row",
    )


def _repeated(make: Any, number: int) -> nn.Module:
    return nn.Sequential(*(make() for _ in range(number))) if number > 1 else make()


def _argument(value: Any, nc: int, anchors: Any) -> Any:
    """Strings of a config as what they mean; nothing is evaluated."""
    if not isinstance(value, str):
        return value
    known = {"None": None, "nc": nc, "anchors": anchors, "True": True, "False": False}
    if value in known:
        return known[value]
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        return value


def _stride(layer: nn.Module) -> float:
    """Input pixels per output pixel of one layer."""
    factor = 1.0
    for module in layer.modules():
        if isinstance(module, blocks.Focus):
            factor *= 2
        elif isinstance(module, (blocks.Contract, blocks.Expand)):
            factor *= module.gain if isinstance(module, blocks.Contract) else 1 / module.gain
        elif isinstance(module, nn.Upsample):
            factor /= float(module.scale_factor or 1)
    if isinstance(layer, blocks.GhostBottleneck):
        return 2.0 if isinstance(layer.shortcut, nn.Sequential) else 1.0
    strided = [
        m.stride for m in layer.modules() if isinstance(m, (nn.Conv2d, nn.MaxPool2d)) and m.stride not in (1, (1, 1))
    ]
    for stride in strided[:1] if not isinstance(layer, nn.Sequential) else strided:
        factor *= stride if isinstance(stride, int) else max(stride)
    return factor
