"""YOLOv5 built from the config dict that every checkpoint carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from qcore_kit.boxes.anchors import decode
from qcore_plugins._shared.network.rows import Blocks, Layers, resolve
from qcore_plugins.families.yolov5 import blocks


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


def _head(nc: int, args: tuple[Any, ...], inputs: list[int]) -> Detect:
    return Detect(nc, args[1], inputs)


BLOCKS = Blocks(
    family="YOLOv5",
    wide=blocks.WIDE,
    repeated=blocks.REPEATED,
    plain={
        "Contract": lambda inputs, args: (blocks.Contract(*args), inputs[0] * args[0] ** 2),
        "Expand": lambda inputs, args: (blocks.Expand(*args), inputs[0] // args[0] ** 2),
    },
    heads={"Detect": _head},
)


class YoloV5(Layers):
    """A YOLOv5 detector.

    Attributes:
        config: The dict it was built from.
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
        super().__init__(config, resolve(config), BLOCKS)
        self.config = dict(config)
        self.nc = int(config["nc"])
        self.names = list(names) or [str(index) for index in range(self.nc)]
        self.detect.anchors /= torch.tensor(self.strides, dtype=torch.float32).view(-1, 1, 1)

    @property
    def detect(self) -> Detect:
        """The head."""
        head = self.model[-1]
        assert isinstance(head, Detect)  # noqa: S101 - the only head in BLOCKS
        return head

    def forward(self, x: Tensor) -> Tensor:
        """RGB in 0..1 `[B, 3, H, W]` -> decoded `[B, N, 5 + nc]` in input pixels; sides multiples of the stride."""
        return decode(self.raw(x), self.detect.anchors, self.strides)

    def raw(self, x: Tensor) -> list[Tensor]:
        """Logits per level, `[B, na, ny, nx, 5 + nc]`."""
        return self.detect(self.features(x))
