"""The network: pillar features, scatter, a backbone of three blocks, a head with two anchors a cell.

As in the paper, with fewer channels and layers. What the published code computes with a linear layer for each point is
a 1x1 convolution here, the same numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

ANCHORS = 2
"""A cell: a car along x and one along y."""


def block(given: int, made: int, stride: int, layers: int) -> nn.Sequential:
    """Convolutions 3x3, the first of which has the stride."""
    parts: list[nn.Module] = []
    for layer in range(layers):
        parts += [
            nn.Conv2d(given if layer == 0 else made, made, 3, stride if layer == 0 else 1, 1, bias=False),
            nn.BatchNorm2d(made, eps=1e-3),
            nn.ReLU(),
        ]
    return nn.Sequential(*parts)


def upsampled(given: int, made: int, factor: int) -> nn.Sequential:
    """A transposed convolution that brings a block to the size of the first."""
    convolution = nn.ConvTranspose2d(given, made, factor, factor, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(made, eps=1e-3), nn.ReLU())


class PointPillars(nn.Module):
    """Pillars and their cells to class logits, box offsets and direction logits of each anchor.

    Args:
        rows: Of the grid of pillars, along y.
        columns: Likewise along x.
        width: Channels of the pillar features and the first block; the others have twice as many.
        layers: Convolutions of a block.
    """

    def __init__(self, rows: int, columns: int, width: int, layers: int) -> None:
        super().__init__()
        self.rows, self.columns, self.width = rows, columns, width
        self.points = nn.Sequential(nn.Conv2d(9, width, 1, bias=False), nn.BatchNorm2d(width, eps=1e-3), nn.ReLU())
        widths = (width, 2 * width, 2 * width)
        self.blocks = nn.ModuleList(
            block(width if level == 0 else widths[level - 1], widths[level], 2, layers) for level in range(3)
        )
        self.ups = nn.ModuleList(upsampled(widths[level], width, 2**level) for level in range(3))
        self.classes = nn.Conv2d(3 * width, ANCHORS, 1)
        self.boxes = nn.Conv2d(3 * width, ANCHORS * 7, 1)
        self.directions = nn.Conv2d(3 * width, ANCHORS * 2, 1)

    def forward(self, pillars: Tensor, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`pillars` [B, 9, P, N], `cells` [B, P]: row * columns + column, rows * columns for padding."""
        features = self.points(pillars).amax(3)
        canvas = features.new_zeros((pillars.shape[0], self.width, self.rows * self.columns + 1))
        where = cells.unsqueeze(1).expand(-1, self.width, -1)
        # Features are not negative, so the largest of a cell is its pillar's; what padding writes lies past the canvas.
        canvas = canvas.scatter_reduce(2, where, features, "amax")[:, :, :-1]
        x = canvas.reshape(-1, self.width, self.rows, self.columns)
        levels = []
        for level, up in zip(self.blocks, self.ups, strict=True):
            x = level(x)
            levels.append(up(x))
        x = torch.cat(levels, 1)
        found = []
        for head, size in ((self.classes, 1), (self.boxes, 7), (self.directions, 2)):
            cellwise = head(x).permute(0, 2, 3, 1)
            found.append(cellwise.reshape(-1, self.rows * self.columns // 4 * ANCHORS, size))
        return found[0], found[1], found[2]
