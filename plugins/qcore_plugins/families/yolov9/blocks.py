"""The blocks of YOLOv9 configs; member names are the keys of upstream's state dicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from qcore_plugins._shared.network.conv import Conv


class RepConv(nn.Module):
    """A 3x3 and a 1x1 convolution side by side, one 3x3 convolution after folding."""

    stored_as: ClassVar = ("RepConvN",)

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1, g: int = 1) -> None:
        super().__init__()
        self.conv1 = Conv(c1, c2, k, s, g=g, act=False)
        self.conv2 = Conv(c1, c2, 1, s, p=0, g=g, act=False)
        self.act: nn.Module = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c1, H, W]` -> `[B, c2, H/s, W/s]`."""
        return self.act(self.conv1(x) + self.conv2(x))

    def formed(self, keys: set[str]) -> RepConv | FusedRepConv:
        """One convolution where the checkpoint was saved with its branches joined."""
        if "conv.weight" not in keys or "conv1.conv.weight" in keys:
            return self
        wide = self.conv1.conv
        size: tuple[Any, Any, Any] = wide.kernel_size, wide.stride, wide.padding
        return FusedRepConv(nn.Conv2d(wide.in_channels, wide.out_channels, *size, groups=wide.groups), self.act)

    def folded(self) -> FusedRepConv:
        """K = W3 f3 + pad(W1 f1), b = b3 + b1, f = gamma / sqrt(var + eps) (RepVGG, arXiv:2101.03697, section 3.2)."""
        assert isinstance(self.conv1.bn, nn.BatchNorm2d)  # noqa: S101 - folded once
        assert isinstance(self.conv2.bn, nn.BatchNorm2d)  # noqa: S101
        wide = fuse_conv_bn_eval(self.conv1.conv, self.conv1.bn)
        narrow = fuse_conv_bn_eval(self.conv2.conv, self.conv2.bn)
        assert wide.bias is not None  # noqa: S101 - folding makes one
        assert narrow.bias is not None  # noqa: S101
        wide.weight = nn.Parameter(wide.weight + functional.pad(narrow.weight, (1, 1, 1, 1)))
        wide.bias = nn.Parameter(wide.bias + narrow.bias)
        return FusedRepConv(wide, self.act)


class FusedRepConv(nn.Module):
    """What is left of a RepConv: one convolution with bias."""

    stored_as: ClassVar = ("RepConvN", "RepConv")

    def __init__(self, conv: nn.Conv2d, act: nn.Module) -> None:
        super().__init__()
        self.conv, self.act = conv, act

    def forward(self, x: Tensor) -> Tensor:
        """Like RepConv."""
        return self.act(self.conv(x))


class RepBottleneck(nn.Module):
    """A RepConv, a 3x3 convolution, and the input added where the channels agree."""

    stored_as: ClassVar = ("RepNBottleneck",)
    stored: ClassVar = {"add": "add"}

    def __init__(self, c1: int, c2: int, shortcut: bool = True, g: int = 1, e: float = 0.5) -> None:
        super().__init__()
        hidden = int(c2 * e)
        self.cv1 = RepConv(c1, hidden)
        self.cv2 = Conv(hidden, c2, 3, g=g)
        self.add = shortcut and c1 == c2

    def forward(self, x: Tensor) -> Tensor:
        """Same size in and out."""
        y = self.cv2(self.cv1(x))
        return x + y if self.add else y


class RepCSP(nn.Module):
    """Cross-stage partial block of RepBottlenecks."""

    stored_as: ClassVar = ("RepNCSP",)

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, g: int = 1, e: float = 0.5) -> None:
        super().__init__()
        hidden = int(c2 * e)
        self.cv1 = Conv(c1, hidden)
        self.cv2 = Conv(c1, hidden)
        self.cv3 = Conv(2 * hidden, c2)
        self.m = nn.Sequential(*(RepBottleneck(hidden, hidden, shortcut, g, e=1.0) for _ in range(n)))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c1, H, W]` -> `[B, c2, H, W]`."""
        return self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))


class RepCSPELAN(nn.Module):
    """Halves of a 1x1 convolution, a chain of two stages, everything joined (GELAN, arXiv:2402.13616)."""

    stored_as: ClassVar = ("RepNCSPELAN4",)

    def __init__(self, c1: int, c2: int, c3: int, c4: int, n: int = 1) -> None:
        super().__init__()
        self.cv1 = Conv(c1, c3)
        self.cv2 = self.stage(c3 // 2, c4, n)
        self.cv3 = self.stage(c4, c4, n)
        self.cv4 = Conv(c3 + 2 * c4, c2)

    def stage(self, c1: int, c2: int, n: int) -> nn.Module:
        """One stage of the chain."""
        return nn.Sequential(RepCSP(c1, c2, n), Conv(c2, c2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c1, H, W]` -> `[B, c2, H, W]`."""
        first, second = self.cv1(x).chunk(2, 1)
        third = self.cv2(second)
        return self.cv4(torch.cat((first, second, third, self.cv3(third)), 1))


class ELAN(RepCSPELAN):
    """The same chain of plain convolutions."""

    stored_as: ClassVar = ("ELAN1",)

    def stage(self, c1: int, c2: int, n: int) -> nn.Module:  # noqa: ARG002
        """A convolution."""
        return Conv(c1, c2, 3)


class AConv(nn.Module):
    """Average pool, then a convolution of stride 2."""

    def __init__(self, c1: int, c2: int) -> None:
        super().__init__()
        self.cv1 = Conv(c1, c2, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c1, H, W]` -> `[B, c2, H/2, W/2]`, H and W even."""
        return self.cv1(functional.avg_pool2d(x, 2, 1, 0))


class ADown(nn.Module):
    """Average pool; half of the channels by a convolution of stride 2, half by a max pool and a 1x1 convolution."""

    def __init__(self, c1: int, c2: int) -> None:
        super().__init__()
        self.cv1 = Conv(c1 // 2, c2 // 2, 3, 2, 1)
        self.cv2 = Conv(c1 // 2, c2 // 2, 1, 1, 0)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c1, H, W]` -> `[B, c2, H/2, W/2]`, H and W even."""
        first, second = functional.avg_pool2d(x, 2, 1, 0).chunk(2, 1)
        return torch.cat((self.cv1(first), self.cv2(functional.max_pool2d(second, 3, 2, 1))), 1)


class SPPELAN(nn.Module):
    """Three max pools in a row, joined."""

    def __init__(self, c1: int, c2: int, c3: int) -> None:
        super().__init__()
        self.cv1 = Conv(c1, c3)
        self.cv2, self.cv3, self.cv4 = (nn.MaxPool2d(5, 1, 2) for _ in range(3))
        self.cv5 = Conv(4 * c3, c2)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c1, H, W]` -> `[B, c2, H, W]`."""
        found = [self.cv1(x)]
        for pool in (self.cv2, self.cv3, self.cv4):
            found.append(pool(found[-1]))
        return self.cv5(torch.cat(found, 1))


class CBLinear(nn.Module):
    """A 1x1 convolution whose output is split into several widths."""

    stored: ClassVar = {"c2s": "widths"}

    def __init__(
        self, c1: int, widths: Sequence[int], k: int = 1, s: int = 1, p: int | None = None, g: int = 1
    ) -> None:
        super().__init__()
        self.widths = list(widths)
        self.conv = nn.Conv2d(c1, sum(widths), k, s, k // 2 if p is None else p, groups=g, bias=True)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """One tensor a width."""
        return self.conv(x).split(self.widths, 1)


class CBFuse(nn.Module):
    """Adds one part of each CBLinear, resized, to the last input."""

    stored: ClassVar = {"idx": "indices"}

    def __init__(self, indices: Sequence[int]) -> None:
        super().__init__()
        self.indices = list(indices)

    def forward(self, given: Sequence[tuple[Tensor, ...] | Tensor]) -> Tensor:
        """The size of the last input."""
        *parts, last = given
        assert isinstance(last, Tensor)  # noqa: S101 - rows put the tensor last
        for part, index in zip(parts, self.indices, strict=True):
            last = last + functional.interpolate(part[index], size=last.shape[2:], mode="nearest")
        return last
