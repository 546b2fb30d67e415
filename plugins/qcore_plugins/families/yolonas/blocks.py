"""The blocks of YOLO-NAS; member names are the keys of its state dicts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from qcore_plugins._shared.network.conv import BN_EPS, BN_MOMENTUM


def norm(channels: int) -> nn.BatchNorm2d:
    """BatchNorm as YOLO-NAS sets it up."""
    return nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)


class Conv(nn.Module):
    """Convolution, BatchNorm, ReLU."""

    def __init__(self, c1: int, c2: int, k: int = 1, s: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2, bias=False)
        self.bn: nn.Module | None = norm(c2)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c1, H, W]` -> `[B, c2, H/s, W/s]`."""
        y = self.conv(x)
        return functional.relu(y if self.bn is None else self.bn(y))

    def formed(self, keys: set[str]) -> Conv:
        """The same unit in the form of a checkpoint that was saved fused, where the keys are such: no BatchNorm."""
        if "conv.bias" in keys and "bn.weight" not in keys:
            self.bn, self.conv.bias = None, nn.Parameter(torch.zeros(self.conv.out_channels))
        return self

    def folded(self) -> Conv:
        """The same unit with BatchNorm inside the convolution."""
        if isinstance(self.bn, nn.BatchNorm2d):
            self.conv, self.bn = fuse_conv_bn_eval(self.conv, self.bn), None
        return self


class HeadConv(nn.Module):
    """A Conv under another key."""

    def __init__(self, c1: int, c2: int, k: int) -> None:
        super().__init__()
        self.seq = Conv(c1, c2, k)

    def forward(self, x: Tensor) -> Tensor:
        """Same size in and out."""
        return self.seq(x)


class ConvNorm(nn.Module):
    """The 3x3 branch of a QARep: convolution and BatchNorm."""

    def __init__(self, c1: int, c2: int, s: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, 3, s, 1, bias=False)
        self.bn = norm(c2)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c1, H, W]` -> `[B, c2, H/s, W/s]`."""
        return self.bn(self.conv(x))


class QARep(nn.Module):
    """A 3x3 branch, a 1x1 branch and the input, summed and normalized (QARepVGG, arXiv:2212.01593).

    Attributes:
        state: `unfused`, `partial` (one 3x3 convolution, then BatchNorm) or `fused` (one convolution).
    """

    def __init__(self, c1: int, c2: int, s: int = 1, residual: bool = True, state: str = "unfused") -> None:
        super().__init__()
        self.residual, self.state = residual and c1 == c2 and s == 1, state
        if state == "unfused":
            self.branch_3x3 = ConvNorm(c1, c2, s)
            self.branch_1x1 = nn.Conv2d(c1, c2, 1, s, 0)
        if state != "fused":
            self.post_bn = norm(c2)
        self.rbr_reparam = nn.Conv2d(c1, c2, 3, s, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c1, H, W]` -> `[B, c2, H/s, W/s]`."""
        if self.state == "fused":
            return functional.relu(self.rbr_reparam(x))
        if self.state == "partial":
            return functional.relu(self.post_bn(self.rbr_reparam(x)))
        y = self.branch_3x3(x) + self.branch_1x1(x)
        return functional.relu(self.post_bn(y + x if self.residual else y))

    def folded(self) -> Plain:
        """K = W3 f3 + pad(W1) + I, b = b3 + b1, then the outer BatchNorm; f = gamma / sqrt(var + eps)."""
        conv = self.rbr_reparam
        if self.state == "unfused":
            conv = fuse_conv_bn_eval(self.branch_3x3.conv, self.branch_3x3.bn)
            weight = conv.weight + functional.pad(self.branch_1x1.weight, (1, 1, 1, 1))
            if self.residual:
                eye = torch.eye(weight.shape[0], dtype=weight.dtype)[:, :, None, None]
                weight = weight + functional.pad(eye, (1, 1, 1, 1))
            assert conv.bias is not None  # noqa: S101 - folding makes one
            assert self.branch_1x1.bias is not None  # noqa: S101 - built with one
            conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(conv.bias + self.branch_1x1.bias)
        return Plain(conv if self.state == "fused" else fuse_conv_bn_eval(conv, self.post_bn))


class Plain(nn.Module):
    """What is left of a QARep: convolution with bias, ReLU."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        """Like QARep."""
        return functional.relu(self.conv(x))


class Bottleneck(nn.Module):
    """Two blocks and the input times a learned factor."""

    def __init__(self, channels: int, make: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.cv1 = make(channels, channels)
        self.cv2 = make(channels, channels)
        self.alpha = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Same size in and out."""
        return self.alpha * x + self.cv2(self.cv1(x))


class CSP(nn.Module):
    """Cross-stage partial block; with `concat` the result of every bottleneck is joined, not the last one's only."""

    def __init__(self, c1: int, c2: int, h: int, n: int, concat: bool, make: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.conv1 = Conv(c1, h)
        self.conv2 = Conv(c1, h)
        self.conv3 = Conv(h * (2 + n) if concat else 2 * h, c2)
        self.bottlenecks = nn.ModuleList(Bottleneck(h, make) for _ in range(n))
        self.concat = concat

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c1, H, W]` -> `[B, c2, H, W]`."""
        parts = [self.conv1(x)]
        for bottleneck in self.bottlenecks:
            parts.append(bottleneck(parts[-1]))
        return self.conv3(torch.cat([*(parts if self.concat else parts[-1:]), self.conv2(x)], 1))


class Stage(nn.Module):
    """A QARep of stride 2, then a CSP."""

    def __init__(self, c1: int, c2: int, csp: Callable[[int, int], CSP], state: str) -> None:
        super().__init__()
        self.downsample = QARep(c1, c2, 2, residual=False, state=state)
        self.blocks = csp(c2, c2)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c1, H, W]` -> `[B, c2, H/2, W/2]`."""
        return self.blocks(self.downsample(x))


class Context(nn.Module):
    """Three max pools side by side."""

    def __init__(self, c1: int, c2: int) -> None:
        super().__init__()
        self.cv1 = Conv(c1, c1 // 2)
        self.cv2 = Conv(c1 // 2 * 4, c2)

    def forward(self, x: Tensor) -> Tensor:
        """Same size in and out."""
        y = self.cv1(x)
        return self.cv2(torch.cat([y, *(functional.max_pool2d(y, k, 1, k // 2) for k in (5, 9, 13))], 1))


class UpStage(nn.Module):
    """Three levels joined at the middle one's size."""

    def __init__(self, channels: tuple[int, int, int], c: int, csp: Callable[[int, int], CSP]) -> None:
        super().__init__()
        x, a, b = channels
        self.reduce_skip1 = Conv(a, c)
        self.reduce_skip2 = Conv(b, c)
        self.conv = Conv(x, c)
        self.upsample = nn.ConvTranspose2d(c, c, 2, 2)
        self.downsample = Conv(c, c, 3, 2)
        self.reduce_after_concat = Conv(3 * c, c)
        self.blocks = csp(c, c)

    def forward(self, x: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """What goes on to the way down, and the joined level."""
        y = self.conv(x)
        joined = torch.cat((self.upsample(y), self.reduce_skip1(a), self.downsample(self.reduce_skip2(b))), 1)
        return y, self.blocks(self.reduce_after_concat(joined))


class DownStage(nn.Module):
    """The finer level at half size, joined to the coarser one."""

    def __init__(self, channels: tuple[int, int], c: int, csp: Callable[[int, int], CSP]) -> None:
        super().__init__()
        x, a = channels
        self.conv = Conv(x, c // 2, 3, 2)
        self.blocks = csp(c // 2 + a, c)

    def forward(self, x: Tensor, a: Tensor) -> Tensor:
        """The coarser level."""
        return self.blocks(torch.cat((self.conv(x), a), 1))


class LevelHead(nn.Module):
    """Classes and distances of one level."""

    def __init__(self, c: int, k: int, nc: int, bins: int) -> None:
        super().__init__()
        self.stem = HeadConv(c, k, 1)
        self.cls_convs = nn.Sequential(HeadConv(k, k, 3))
        self.cls_pred = nn.Conv2d(k, nc, 1)
        self.reg_convs = nn.Sequential(HeadConv(k, k, 3))
        self.reg_pred = nn.Conv2d(k, 4 * bins, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, c, ny, nx]` -> `[B, 4 bins + nc, ny, nx]`, distances before classes."""
        y = self.stem(x)
        return torch.cat((self.reg_pred(self.reg_convs(y)), self.cls_pred(self.cls_convs(y))), 1)
