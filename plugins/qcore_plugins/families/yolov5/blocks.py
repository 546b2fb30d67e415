"""The blocks of YOLOv5 configs; member names are the keys of upstream's state dicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from qcore_plugins._shared.network.conv import BN_EPS, BN_MOMENTUM, Conv, DWConv


class Bottleneck(nn.Module):
    """1x1, 3x3, and the input added where the channels agree."""

    stored: ClassVar = {"add": "add"}

    def __init__(self, c1: int, c2: int, shortcut: bool = True, g: int = 1, e: float = 0.5) -> None:
        super().__init__()
        hidden = int(c2 * e)
        self.cv1 = Conv(c1, hidden, 1)
        self.cv2 = Conv(hidden, c2, 3, g=g)
        self.add = shortcut and c1 == c2

    def forward(self, x: Tensor) -> Tensor:
        """Same size in and out."""
        y = self.cv2(self.cv1(x))
        return x + y if self.add else y


class C3(nn.Module):
    """Cross-stage partial block with three convolutions."""

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, g: int = 1, e: float = 0.5) -> None:
        super().__init__()
        hidden = int(c2 * e)
        self.cv1 = Conv(c1, hidden)
        self.cv2 = Conv(c1, hidden)
        self.cv3 = Conv(2 * hidden, c2)
        self.m: nn.Module = nn.Sequential(*(self.inner(hidden, shortcut, g) for _ in range(n)))

    def inner(self, hidden: int, shortcut: bool, g: int) -> nn.Module:
        """One of the n blocks of the main branch."""
        return Bottleneck(hidden, hidden, shortcut, g, e=1.0)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c1, H, W]` -> `[B, c2, H, W]`."""
        return self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))


class CrossConv(nn.Module):
    """A row convolution, then a column convolution."""

    stored: ClassVar = {"add": "add"}

    def __init__(
        self, c1: int, c2: int, k: int = 3, s: int = 1, g: int = 1, e: float = 1.0, shortcut: bool = False
    ) -> None:
        super().__init__()
        hidden = int(c2 * e)
        self.cv1 = Conv(c1, hidden, (1, k), (1, s))
        self.cv2 = Conv(hidden, c2, (k, 1), (s, 1), g=g)
        self.add = shortcut and c1 == c2

    def forward(self, x: Tensor) -> Tensor:
        """Like Bottleneck."""
        y = self.cv2(self.cv1(x))
        return x + y if self.add else y


class C3x(C3):
    """C3 with cross convolutions."""

    def inner(self, hidden: int, shortcut: bool, g: int) -> nn.Module:
        """A cross convolution."""
        return CrossConv(hidden, hidden, 3, 1, g, 1.0, shortcut)


class GhostConv(nn.Module):
    """Half of the channels by a convolution, the other half from them by a cheap one."""

    def __init__(self, c1: int, c2: int, k: int = 1, s: int = 1, g: int = 1, act: bool | nn.Module = True) -> None:
        super().__init__()
        hidden = c2 // 2
        self.cv1 = Conv(c1, hidden, k, s, g=g, act=act)
        self.cv2 = Conv(hidden, hidden, 5, 1, g=hidden, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c1, H, W]` -> `[B, c2, H/s, W/s]`."""
        y = self.cv1(x)
        return torch.cat((y, self.cv2(y)), 1)


class GhostBottleneck(nn.Module):
    """Two ghost convolutions and a shortcut."""

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1) -> None:
        super().__init__()
        hidden = c2 // 2
        self.conv = nn.Sequential(
            GhostConv(c1, hidden),
            DWConv(hidden, hidden, k, s, act=False) if s == 2 else nn.Identity(),
            GhostConv(hidden, c2, act=False),
        )
        self.shortcut: nn.Module = (
            nn.Sequential(DWConv(c1, c1, k, s, act=False), Conv(c1, c2, act=False)) if s == 2 else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c1, H, W]` -> `[B, c2, H/s, W/s]`."""
        return self.conv(x) + self.shortcut(x)


class C3Ghost(C3):
    """C3 with ghost bottlenecks."""

    def inner(self, hidden: int, shortcut: bool, g: int) -> nn.Module:  # noqa: ARG002
        """A ghost bottleneck."""
        return GhostBottleneck(hidden, hidden)


class SPP(nn.Module):
    """Three max pools side by side."""

    def __init__(self, c1: int, c2: int, k: Sequence[int] = (5, 9, 13)) -> None:
        super().__init__()
        hidden = c1 // 2
        self.cv1 = Conv(c1, hidden)
        self.cv2 = Conv(hidden * (len(k) + 1), c2)
        self.m = nn.ModuleList(nn.MaxPool2d(size, 1, size // 2) for size in k)

    def forward(self, x: Tensor) -> Tensor:
        """Same size in and out."""
        x = self.cv1(x)
        return self.cv2(torch.cat([x, *(pool(x) for pool in self.m)], 1))


class SPPF(nn.Module):
    """Three max pools in a row."""

    def __init__(self, c1: int, c2: int, k: int = 5) -> None:
        super().__init__()
        hidden = c1 // 2
        self.cv1 = Conv(c1, hidden)
        self.cv2 = Conv(hidden * 4, c2)
        self.m = nn.MaxPool2d(k, 1, k // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Same size in and out."""
        a = self.cv1(x)
        b = self.m(a)
        c = self.m(b)
        return self.cv2(torch.cat((a, b, c, self.m(c)), 1))


class C3SPP(C3):
    """C3 whose main branch is one SPP."""

    def __init__(
        self,
        c1: int,
        c2: int,
        k: Sequence[int] = (5, 9, 13),
        n: int = 1,
        shortcut: bool = True,
        g: int = 1,
        e: float = 0.5,
    ) -> None:
        super().__init__(c1, c2, n, shortcut, g, e)
        self.m = SPP(int(c2 * e), int(c2 * e), k)


class Focus(nn.Module):
    """Four pixel phases as channels, then a convolution."""

    phases = 4

    def __init__(
        self, c1: int, c2: int, k: int = 1, s: int = 1, p: int | None = None, g: int = 1, act: bool | nn.Module = True
    ) -> None:
        super().__init__()
        self.conv = Conv(c1 * 4, c2, k, s, p, g, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c1, H, W]` -> `[B, c2, H/2, W/2]`."""
        phases = (x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2])
        return self.conv(torch.cat(phases, 1))


class BottleneckCSP(nn.Module):
    """The cross-stage partial block of the first versions: BatchNorm stands behind the concatenation."""

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, g: int = 1, e: float = 0.5) -> None:
        super().__init__()
        hidden = int(c2 * e)
        self.cv1 = Conv(c1, hidden)
        self.cv2 = nn.Conv2d(c1, hidden, 1, bias=False)
        self.cv3 = nn.Conv2d(hidden, hidden, 1, bias=False)
        self.cv4 = Conv(2 * hidden, c2)
        self.bn = nn.BatchNorm2d(2 * hidden, eps=BN_EPS, momentum=BN_MOMENTUM)
        self.act: nn.Module = nn.SiLU()
        self.m = nn.Sequential(*(Bottleneck(hidden, hidden, shortcut, g, e=1.0) for _ in range(n)))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c1, H, W]` -> `[B, c2, H, W]`."""
        y = torch.cat((self.cv3(self.m(self.cv1(x))), self.cv2(x)), 1)
        return self.cv4(self.act(self.bn(y)))


class Contract(nn.Module):
    """Space to depth: new channel order is row phase, column phase, old channel."""

    stored: ClassVar = {"gain": "gain"}

    def __init__(self, gain: int = 2) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c, H, W]` -> `[B, c gain^2, H/gain, W/gain]`."""
        b, c, h, w = x.shape
        s = self.gain
        return x.view(b, c, h // s, s, w // s, s).permute(0, 3, 5, 1, 2, 4).reshape(b, c * s * s, h // s, w // s)


class Expand(nn.Module):
    """Depth to space, the inverse of Contract."""

    stored: ClassVar = {"gain": "gain"}

    def __init__(self, gain: int = 2) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c, H, W]` -> `[B, c / gain^2, H gain, W gain]`."""
        b, c, h, w = x.shape
        s = self.gain
        return x.view(b, s, s, c // s**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(b, c // s**2, h * s, w * s)


WIDE: dict[str, Any] = {
    block.__name__: block
    for block in (
        Conv, DWConv, Bottleneck, C3, C3x, C3Ghost, C3SPP, GhostConv, GhostBottleneck, SPP, SPPF, Focus,
        BottleneckCSP, CrossConv,
    )
}  # fmt: skip
"""Blocks whose output width is scaled by the config's width multiple."""

REPEATED = frozenset({"C3", "C3x", "C3Ghost", "BottleneckCSP"})
"""Blocks that take the number of repeats as an argument."""
