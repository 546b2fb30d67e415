"""What the numbers of an output say of its layout: boxes of a detector with cells lie where their cells lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVELS = (
    (8, 16, 32),
    (8, 16, 32, 64),
    (4, 8, 16, 32),
    (16, 32),
    (8, 16),
    (8, 16, 32, 64, 128),
    (4, 8, 16),
    (8,),
    (16,),
    (32,),
    (4, 8, 16, 32, 64),
    (4,),
)
"""Strides of the levels that heads have; some give the largest first."""
ANCHORS = (1, 3, 2, 4, 5, 6, 9)
"""Boxes per cell, the usual ones first."""


@dataclass(frozen=True)
class Grid:
    """The cells behind the rows of an output.

    Attributes:
        strides: Pixels per cell, one a level.
        anchors: Boxes per cell.
        size: Height and width of the input.
    """

    strides: tuple[int, ...]
    anchors: int
    size: tuple[int, int]

    def places(self, last: bool) -> tuple[np.ndarray, np.ndarray]:
        """Level `[N]` and middle x, y `[N, 2]` of each row's cell in pixels.

        Args:
            last: Whether the boxes of one cell stand side by side, not one after all cells of the other.
        """
        levels, middles = [], []
        for level, stride in enumerate(self.strides):
            rows, columns = _cells(self.size, stride)
            x, y = np.meshgrid((np.arange(columns) + 0.5) * stride, (np.arange(rows) + 0.5) * stride)
            middle = np.stack((x.ravel(), y.ravel()), 1)
            middle = middle.repeat(self.anchors, 0) if last else np.tile(middle, (self.anchors, 1))
            middles.append(middle)
            levels.append(np.full(len(middle), level))
        return np.concatenate(levels), np.concatenate(middles)


@dataclass(frozen=True)
class Slopes:
    """By how much the first four values of a box grow, while its cell moves by one pixel right or down.

    Attributes:
        first: Of the two values that are x and y.
        second: Of the two that are either the other corner, which moves with the cell, or width and height.
    """

    first: float
    second: float

    @property
    def follows(self) -> bool:
        """Whether the boxes lie where their cells lie, in pixels."""
        return 0.4 < self.first < 2.5

    @property
    def corners(self) -> bool:
        """Whether a box is two corners, not a centre and a size."""
        return self.second > 0.4


def grid(count: int, size: tuple[int, int], boxes: np.ndarray | None = None) -> Grid | None:
    """The cells that explain a number of rows; None where no usual head has so many.

    Args:
        count: Rows.
        size: Height and width of the input.
        boxes: Their values `[N, 4]`; where several kinds of cells explain the number, those that they follow are taken.
    """
    several = [
        Grid(strides, anchors, size)
        for anchors in ANCHORS
        for strides in dict.fromkeys((*LEVELS, *(levels[::-1] for levels in LEVELS)))
        if count == anchors * sum(math.prod(_cells(size, stride)) for stride in strides)
    ]
    if boxes is None or len(several) < 2:
        return several[0] if several else None
    best = min(several, key=lambda cells: abs(slopes(boxes, cells).first - 1))
    return best if slopes(boxes, best).follows else several[0]


def slopes(boxes: np.ndarray, cells: Grid) -> Slopes:
    """How the values of boxes `[N, 4]` follow their cells; see `Slopes`."""
    orders = (False, True) if cells.anchors > 1 else (False,)
    return max((_slopes(boxes, *cells.places(last)) for last in orders), key=lambda found: found.first)


def integral(values: np.ndarray) -> bool:
    """Whether all values are whole numbers from 0, as indices of classes are."""
    return bool(np.all(values >= 0) and np.all(values == np.rint(values)))


def _slopes(boxes: np.ndarray, levels: np.ndarray, middles: np.ndarray) -> Slopes:
    """Least squares inside each level: sizes and distances differ from level to level."""
    place, value = middles.astype(np.float64).copy(), boxes.astype(np.float64).copy()
    for level in np.unique(levels):
        place[levels == level] -= place[levels == level].mean(0)
        value[levels == level] -= value[levels == level].mean(0)
    moved = np.maximum((place**2).sum(0), 1e-9)
    x0, y0, x1, y1 = ((value * np.concatenate((place, place), 1)).sum(0) / np.concatenate((moved, moved))).tolist()
    return Slopes(min(x0, y0, key=abs), min(x1, y1, key=abs))


def _cells(size: Sequence[int], stride: int) -> tuple[int, int]:
    """Rows and columns of a level; a side that the stride does not divide has a cell more."""
    return -(-int(size[0]) // stride), -(-int(size[1]) // stride)
