"""YOLO-NAS built from the shapes of its state dict: the file holds no config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from qcore_kit.boxes.bins import decode_apart
from qcore_plugins.families.yolonas.blocks import CSP, Context, Conv, DownStage, LevelHead, QARep, Stage, UpStage

STAGES = ("stage1", "stage2", "stage3", "stage4")
STRIDES = (8, 16, 32)
SIZES = {64: "s", 96: "m", 128: "l"}
"""Width of the first level's head -> published size."""
TABLE = {
    "s": ((2, 32, False), (3, 64, False), (5, 96, False), (2, 192, False),
          (2, 64, False), (2, 48, False), (2, 64, False), (2, 64, False)),
    "m": ((2, 64, True), (3, 128, True), (5, 256, True), (2, 384, False),
          (2, 192, False), (3, 64, False), (2, 192, False), (3, 256, False)),
    "l": ((2, 96, True), (3, 128, True), (5, 256, True), (2, 512, True),
          (4, 128, False), (4, 128, False), (4, 128, False), (4, 256, False)),
}  # fmt: skip
"""(bottlenecks, hidden width, concat) of the four backbone stages and the four neck stages."""


@dataclass(frozen=True)
class Csp:
    """What the shapes say of a CSP."""

    hidden: int
    number: int
    concat: bool


@dataclass(frozen=True)
class Shapes:
    """What the shapes of a state dict say of the network.

    Attributes:
        widths: Output channels of the backbone stages.
        necks: Output channels of the neck stages.
        csps: Of the backbone stages, then of the neck stages.
        heads: Width of each level's head.
        nc: Number of classes.
        bins: Of the distances.
        channels: Of the input.
        stem: Output channels of the stem.
        state: `unfused`, `partial` or `fused`.
    """

    widths: tuple[int, ...]
    necks: tuple[int, ...]
    csps: tuple[Csp, ...]
    heads: tuple[int, ...]
    nc: int
    bins: int
    channels: int
    stem: int
    state: str

    @property
    def variant(self) -> str:
        """`s`, `m`, `l` or `custom`."""
        size = SIZES.get(self.heads[0], "custom")
        shape = tuple((csp.number, csp.hidden, csp.concat) for csp in self.csps)
        return size if TABLE.get(size) == shape else "custom"


def read_shapes(weights: Mapping[str, Tensor]) -> Shapes:
    """Sizes of a YOLO-NAS from its state dict.

    Raises:
        KeyError: A tensor that decides is missing.
    """
    places = [f"backbone.{stage}.blocks" for stage in STAGES] + [f"neck.neck{index}.blocks" for index in range(1, 5)]
    stem = "backbone.stem.conv"
    unfused = f"{stem}.branch_3x3.conv.weight" in weights
    state = "unfused" if unfused else "partial" if f"{stem}.post_bn.weight" in weights else "fused"
    first = weights[f"{stem}.branch_3x3.conv.weight" if unfused else f"{stem}.rbr_reparam.weight"]
    return Shapes(
        widths=tuple(weights[f"{place}.conv3.conv.weight"].shape[0] for place in places[:4]),
        necks=tuple(weights[f"{place}.conv3.conv.weight"].shape[0] for place in places[4:]),
        csps=tuple(_csp(weights, place) for place in places),
        heads=tuple(weights[f"heads.head{index}.stem.seq.conv.weight"].shape[0] for index in range(1, 4)),
        nc=weights["heads.head1.cls_pred.weight"].shape[0],
        bins=weights["heads.head1.reg_pred.weight"].shape[0] // 4,
        channels=first.shape[1],
        stem=first.shape[0],
        state=state,
    )


def _csp(weights: Mapping[str, Tensor], place: str) -> Csp:
    hidden = weights[f"{place}.conv1.conv.weight"].shape[0]
    names = {key.split(".bottlenecks.")[1].split(".")[0] for key in weights if key.startswith(f"{place}.bottlenecks.")}
    joined = weights[f"{place}.conv3.conv.weight"].shape[1]
    return Csp(hidden, len(names), bool(names) and joined == hidden * (2 + len(names)))


class YoloNas(nn.Module):
    """A YOLO-NAS detector.

    Attributes:
        shapes: What it was built from.
        names: Class names.
        strides: Input pixels per cell, one a level.
    """

    bins: Tensor

    def __init__(self, shapes: Shapes, names: Sequence[str] = ()) -> None:
        super().__init__()
        self.shapes = shapes
        self.nc = shapes.nc
        self.names = list(names) or [str(index) for index in range(shapes.nc)]
        self.strides = [float(stride) for stride in STRIDES]
        rep = partial(QARep, state=shapes.state)
        backbone = [partial(CSP, h=csp.hidden, n=csp.number, concat=csp.concat, make=rep) for csp in shapes.csps[:6]]
        down = [
            partial(CSP, h=csp.hidden, n=csp.number, concat=csp.concat, make=partial(Conv, k=3))
            for csp in shapes.csps[6:]
        ]
        c2, c3, c4, c5 = shapes.widths
        n1, n2, n3, n4 = shapes.necks
        self.backbone = nn.ModuleDict(
            {"stem": nn.ModuleDict({"conv": rep(shapes.channels, shapes.stem, 2, residual=False)})}
        )
        for name, width, before, csp in zip(STAGES, shapes.widths, (shapes.stem, c2, c3, c4), backbone, strict=False):
            self.backbone[name] = Stage(before, width, csp, shapes.state)
        self.backbone["context_module"] = Context(c5, c5)
        self.neck = nn.ModuleDict(
            {
                "neck1": UpStage((c5, c4, c3), n1, backbone[4]),
                "neck2": UpStage((n1, c3, c2), n2, backbone[5]),
                "neck3": DownStage((n2, n2), n3, down[0]),
                "neck4": DownStage((n3, n1), n4, down[1]),
            }
        )
        levels = zip((n2, n3, n4), shapes.heads, strict=True)
        self.heads = nn.ModuleDict(
            {f"head{index}": LevelHead(c, k, shapes.nc, shapes.bins) for index, (c, k) in enumerate(levels, 1)}
        )
        self.register_buffer("bins", torch.arange(shapes.bins, dtype=torch.float32), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures `[B, 3, H, W]` -> boxes `[B, N, 4]` left, top, right, bottom in pixels, scores `[B, N, nc]`."""
        return decode_apart(self.raw(x), self.strides, self.bins)

    def raw(self, x: Tensor) -> list[Tensor]:
        """Raw levels `[B, 4 bins + nc, ny, nx]`."""
        body: Any = self.backbone
        c2 = body["stage1"](body["stem"]["conv"](x))
        c3 = body["stage2"](c2)
        c4 = body["stage3"](c3)
        c5 = body["context_module"](body["stage4"](c4))
        n1, up = self.neck["neck1"](c5, c4, c3)
        n2, p3 = self.neck["neck2"](up, c3, c2)
        p4 = self.neck["neck3"](p3, n2)
        p5 = self.neck["neck4"](p4, n1)
        return [self.heads[f"head{index}"](level) for index, level in enumerate((p3, p4, p5), 1)]
