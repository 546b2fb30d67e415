"""The unit that every network here is made of; member names are the keys of upstream's state dicts."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

BN_EPS, BN_MOMENTUM = 1e-3, 0.03
"""Set by upstream after construction and not stored in checkpoints; PyTorch's defaults give other outputs."""

Shape = int | tuple[int, int]


def same_padding(kernel: Shape, dilation: int = 1) -> Shape:
    """Padding that keeps the size at stride 1."""
    if isinstance(kernel, int):
        return (dilation * (kernel - 1) + 1) // 2
    return tuple((dilation * (size - 1) + 1) // 2 for size in kernel)  # type: ignore[return-value]


class Conv(nn.Module):
    """Convolution, BatchNorm, activation; without `bn` where the checkpoint was saved fused."""

    stored_as: ClassVar[tuple[str, ...]] = ("DWConv",)

    def __init__(
        self,
        c1: int,
        c2: int,
        k: Shape = 1,
        s: Shape = 1,
        p: Shape | None = None,
        g: int = 1,
        d: int = 1,
        act: bool | nn.Module = True,
    ) -> None:
        super().__init__()
        padding = same_padding(k, d) if p is None else p
        self.conv = nn.Conv2d(c1, c2, k, s, padding, groups=g, dilation=d, bias=False)
        self.bn: nn.Module | None = nn.BatchNorm2d(c2, eps=BN_EPS, momentum=BN_MOMENTUM)
        self.act: nn.Module = nn.SiLU() if act is True else act if isinstance(act, nn.Module) else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c1, H, W]` -> `[B, c2, H/s, W/s]`."""
        y = self.conv(x)
        return self.act(y if self.bn is None else self.bn(y))

    def folded(self) -> Conv:
        """The same unit with BatchNorm inside the convolution."""
        if isinstance(self.bn, nn.BatchNorm2d):
            self.conv, self.bn = fuse_conv_bn_eval(self.conv, self.bn), None
        return self

    def formed(self, keys: set[str]) -> Conv:
        """The same unit in the form of a checkpoint that was saved fused, where the keys are such: no BatchNorm."""
        if "conv.bias" in keys and "bn.weight" not in keys:
            self.bn = None
        if "conv.bias" in keys:
            self.conv.bias = nn.Parameter(torch.zeros(self.conv.out_channels))
        return self


class DWConv(Conv):
    """Depthwise as far as the channels allow it."""

    stored_as = ("Conv",)

    def __init__(self, c1: int, c2: int, k: int = 1, s: int = 1, d: int = 1, act: bool | nn.Module = True) -> None:
        super().__init__(c1, c2, k, s, g=gcd(c1, c2), d=d, act=act)


class Concat(nn.Module):
    """Channels of all inputs one behind the other."""

    stored: ClassVar = {"d": "dimension"}

    def __init__(self, dimension: int = 1) -> None:
        super().__init__()
        self.dimension = dimension

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """A list of tensors of one size."""
        return torch.cat(list(x), self.dimension)
