"""The blocks; names of members are those of the checkpoints' keys.

C2f and the head: YOLOv8 (no paper; described in arXiv:2305.09972); attention: YOLOv10 (arXiv:2405.14458), section 3.3.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Conv(nn.Module):
    """Convolution, BatchNorm (eps 1e-3), SiLU; `act` is Identity where there is none."""

    def __init__(self, c1: int, c2: int, k: int = 1, s: int = 1, g: int = 1, *, act: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2, groups=g, bias=False)
        self.bn = nn.BatchNorm2d(c2, eps=1e-3, momentum=0.03)
        self.act: nn.Module = nn.SiLU() if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """The three."""
        y: Tensor = self.act(self.bn(self.conv(x)))
        return y

    def fuse(self) -> None:
        """Take the form of a file whose BatchNorm was folded: a bias instead."""
        old = self.conv
        self.conv = nn.Conv2d(
            old.in_channels, old.out_channels, old.kernel_size, old.stride, old.padding, groups=old.groups
        )  # type: ignore[arg-type]
        self.bn = nn.Identity()  # type: ignore[assignment]


class Bottleneck(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(
        self, c1: int, c2: int, shortcut: bool = True, g: int = 1, k: tuple[int, int] = (3, 3), e: float = 0.5
    ) -> None:
        super().__init__()
        hidden = int(c2 * e)
        self.cv1, self.cv2 = Conv(c1, hidden, k[0]), Conv(hidden, c2, k[1], g=g)
        self.add = shortcut and c1 == c2

    def forward(self, x: Tensor) -> Tensor:
        """With the shortcut, if there is one."""
        y: Tensor = self.cv2(self.cv1(x))
        return x + y if self.add else y


class C2f(nn.Module):
    """Halves of a convolution; the second goes through `n` members, and everything is joined."""

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = False, g: int = 1, e: float = 0.5) -> None:
        super().__init__()
        self.c = int(c2 * e)
        self.cv1, self.cv2 = Conv(c1, 2 * self.c), Conv((2 + n) * self.c, c2)
        self.m = nn.ModuleList(Bottleneck(self.c, self.c, shortcut, g, e=1.0) for _ in range(n))

    def forward(self, x: Tensor) -> Tensor:
        """All parts, joined by a convolution."""
        parts = list(self.cv1(x).split([self.c, self.c], 1))
        for member in self.m:
            parts.append(member(parts[-1]))
        joined: Tensor = self.cv2(torch.cat(parts, 1))
        return joined


class C3(nn.Module):
    """Two ways, one through `n` bottlenecks."""

    def __init__(
        self,
        c1: int,
        c2: int,
        n: int = 1,
        shortcut: bool = True,
        g: int = 1,
        e: float = 0.5,
        k: tuple[int, int] = (1, 3),
    ) -> None:
        super().__init__()
        hidden = int(c2 * e)
        self.cv1, self.cv2, self.cv3 = Conv(c1, hidden), Conv(c1, hidden), Conv(2 * hidden, c2)
        self.m = nn.Sequential(*(Bottleneck(hidden, hidden, shortcut, g, k, 1.0) for _ in range(n)))

    def forward(self, x: Tensor) -> Tensor:
        """Both ways, joined by a convolution."""
        joined: Tensor = self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))
        return joined


class C3k2(C2f):
    """C2f whose members are bottlenecks of half the width, C3 with kernels of 3, or a bottleneck with attention."""

    def __init__(
        self,
        c1: int,
        c2: int,
        n: int = 1,
        c3k: bool = False,
        e: float = 0.5,
        attn: bool = False,
        g: int = 1,
        shortcut: bool = True,
    ) -> None:
        super().__init__(c1, c2, n, shortcut, g, e)

        def member() -> nn.Module:
            if attn:
                heads = max(self.c // 64, 1)
                return nn.Sequential(Bottleneck(self.c, self.c, shortcut, g), PSABlock(self.c, heads))
            if c3k:
                return C3(self.c, self.c, 2, shortcut, g, k=(3, 3))
            return Bottleneck(self.c, self.c, shortcut, g)

        self.m = nn.ModuleList(member() for _ in range(n))


class SPPF(nn.Module):
    """The largest values of growing neighbourhoods, beside the values."""

    def __init__(self, c1: int, c2: int, k: int = 5, n: int = 3, shortcut: bool = False, *, act: bool = True) -> None:
        super().__init__()
        hidden = c1 // 2
        self.cv1, self.cv2 = Conv(c1, hidden, act=act), Conv((n + 1) * hidden, c2)
        self.m, self.n, self.add = nn.MaxPool2d(k, 1, k // 2), n, shortcut and c1 == c2

    def forward(self, x: Tensor) -> Tensor:
        """Pools of pools, joined."""
        parts = [self.cv1(x)]
        for _ in range(self.n):
            parts.append(self.m(parts[-1]))
        y: Tensor = self.cv2(torch.cat(parts, 1))
        return x + y if self.add else y


class Attention(nn.Module):
    """Every cell looks at every other; what is looked up is convolved by itself as well (`pe`)."""

    def __init__(self, dim: int, num_heads: int, ratio: float = 0.5) -> None:
        super().__init__()
        self.heads, self.width = num_heads, dim // num_heads
        self.keys = int(self.width * ratio)
        self.scale = self.keys**-0.5
        self.qkv = Conv(dim, dim + 2 * self.keys * num_heads, act=False)
        self.proj, self.pe = Conv(dim, dim, act=False), Conv(dim, dim, 3, g=dim, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """softmax(q^T k scale) v + pe(v); head by head q, k and v lie one after another."""
        batch, channels, height, width = x.shape
        joined = self.qkv(x).view(batch, self.heads, 2 * self.keys + self.width, height * width)
        query, key, value = joined.split([self.keys, self.keys, self.width], 2)
        weights = ((query.transpose(-2, -1) @ key) * self.scale).softmax(-1)
        looked = (value @ weights.transpose(-2, -1)).view(batch, channels, height, width)
        result: Tensor = self.proj(looked + self.pe(value.reshape(batch, channels, height, width)))
        return result


class PSABlock(nn.Module):
    """Attention and two convolutions, both with a shortcut."""

    def __init__(self, c: int, num_heads: int) -> None:
        super().__init__()
        self.attn = Attention(c, num_heads)
        self.ffn = nn.Sequential(Conv(c, 2 * c), Conv(2 * c, c, act=False))

    def forward(self, x: Tensor) -> Tensor:
        """One after the other."""
        x = x + self.attn(x)
        return x + self.ffn(x)


class C2PSA(nn.Module):
    """Half of the channels go through `n` blocks with attention."""

    def __init__(self, c1: int, c2: int, n: int = 1, e: float = 0.5) -> None:
        super().__init__()
        self.c = int(c1 * e)
        self.cv1, self.cv2 = Conv(c1, 2 * self.c), Conv(2 * self.c, c2)
        self.m = nn.Sequential(*(PSABlock(self.c, max(self.c // 64, 1)) for _ in range(n)))

    def forward(self, x: Tensor) -> Tensor:
        """Both halves, joined."""
        plain, seen = self.cv1(x).split([self.c, self.c], 1)
        joined: Tensor = self.cv2(torch.cat((plain, self.m(seen)), 1))
        return joined


class Bins(nn.Module):
    """The bins of a distance, as the checkpoints store them: a convolution by 0, 1, 2, ..."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(bins, 1, 1, bias=False).requires_grad_(False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.arange(bins, dtype=torch.float).view(1, bins, 1, 1))


def branch(c1: int, hidden: int, c2: int) -> nn.Sequential:
    """Two convolutions and a bare one."""
    return nn.Sequential(Conv(c1, hidden, 3), Conv(hidden, hidden, 3), nn.Conv2d(hidden, c2, 1))


def depthwise_branch(c1: int, hidden: int, c2: int) -> nn.Sequential:
    """The same with depthwise convolutions."""
    first = nn.Sequential(Conv(c1, c1, 3, g=c1), Conv(c1, hidden))
    second = nn.Sequential(Conv(hidden, hidden, 3, g=hidden), Conv(hidden, hidden))
    return nn.Sequential(first, second, nn.Conv2d(hidden, c2, 1))


class Detect(nn.Module):
    """A box branch (`cv2`) and a class branch (`cv3`) for each level; of YOLO26, a second pair `one2one_...`.

    Args:
        nc: Number of classes.
        channels: Of the levels.
        bins: Of a distance; 1 for none.
        widths: Of the box and the class branches.
        depthwise: Whether the class branch has depthwise convolutions.
        pairs: Prefixes of the branches: "" and "one2one_".
    """

    def __init__(
        self,
        nc: int,
        channels: list[int],
        bins: int,
        widths: tuple[int, int],
        *,
        depthwise: bool,
        pairs: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.nc, self.bins = nc, bins
        of_classes: Any = depthwise_branch if depthwise else branch
        for prefix in pairs:
            self.add_module(f"{prefix}cv2", nn.ModuleList(branch(c, widths[0], 4 * bins) for c in channels))
            self.add_module(f"{prefix}cv3", nn.ModuleList(of_classes(c, widths[1], nc) for c in channels))
        if bins > 1:
            self.dfl = Bins(bins)

    def levels(self, features: list[Tensor], prefix: str = "") -> list[Tensor]:
        """`[B, 4 * bins + nc, H, W]` of each level."""
        boxes, classes = self.get_submodule(f"{prefix}cv2"), self.get_submodule(f"{prefix}cv3")
        pairs: Any = zip(boxes.children(), classes.children(), features, strict=True)
        return [torch.cat((box(x), of(x)), 1) for box, of, x in pairs]
