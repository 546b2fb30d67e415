"""The heads of YOLOv9: boxes as distributions over 16 bins, and classes, apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from qcore_plugins._shared.network.conv import Conv, DWConv

BINS = 16


class Expectation(nn.Module):
    """Holds the values of the bins, which are parameters in upstream's files: 0..15 in every trained one."""

    stored_as: ClassVar = ("DFL",)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(BINS, 1, 1, bias=False).requires_grad_(False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.arange(BINS, dtype=torch.float32).view(1, BINS, 1, 1))

    @property
    def bins(self) -> Tensor:
        """`[16]`."""
        return self.conv.weight.reshape(BINS)


class Head(nn.Module):
    """One box and one class branch a level.

    Args:
        nc: Number of classes.
        channels: Of the levels.
        grouped: Groups of 4 in the box branch, and its width rounded to 4 (DDetect; not in Detect, not in ultralytics).
        style: Width and make of the class branch: `upstream`, `legacy` or `depthwise` (ultralytics).
    """

    stored_as: ClassVar = ("Detect", "DDetect", "DualDetect", "DualDDetect", "TripleDetect", "TripleDDetect")

    def __init__(self, nc: int, channels: Sequence[int], *, grouped: bool, style: str) -> None:
        super().__init__()
        self.nc = nc
        box = max(channels[0] // 4, 64)
        groups = 4 if grouped else 1
        box = math.ceil(box / groups) * groups
        wide = max(channels[0], min(2 * nc, 128) if style == "upstream" else min(nc, 100))
        self.cv2 = nn.ModuleList(
            nn.Sequential(Conv(c, box, 3), Conv(box, box, 3, g=groups), nn.Conv2d(box, 4 * BINS, 1, groups=groups))
            for c in channels
        )
        self.cv3 = nn.ModuleList(
            nn.Sequential(*self._classes(c, wide, style), nn.Conv2d(wide, nc, 1)) for c in channels
        )
        self.dfl = Expectation()

    def _classes(self, c1: int, wide: int, style: str) -> tuple[nn.Module, nn.Module]:
        if style == "depthwise":
            return (
                nn.Sequential(DWConv(c1, c1, 3), Conv(c1, wide, 1)),
                nn.Sequential(DWConv(wide, wide, 3), Conv(wide, wide, 1)),
            )
        return Conv(c1, wide, 3), Conv(wide, wide, 3)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Raw levels `[B, 64 + nc, ny, nx]`."""
        return [torch.cat((box(x), score(x)), 1) for box, score, x in zip(self.cv2, self.cv3, features, strict=True)]
