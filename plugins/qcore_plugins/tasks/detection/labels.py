"""Labels of one picture, and what their numbers tell of how they were written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Labels:
    """What is in one picture.

    Attributes:
        xyxy: `[N, 4]` float64, pixels.
        class_id: `[N]`, index into the data's class names.
        crowd: `[N]`, whether the box stands for a group; finding it or not does not count.
        area: `[N]` in square pixels, for the size classes of COCO.
    """

    xyxy: np.ndarray
    class_id: np.ndarray
    crowd: np.ndarray
    area: np.ndarray

    def chosen(self, kept: np.ndarray) -> Labels:
        """Those of a mask, or of places."""
        return Labels(self.xyxy[kept], self.class_id[kept], self.crowd[kept], self.area[kept])


def from_centre(rows: np.ndarray) -> np.ndarray:
    """Corners `[N, 4]` of boxes as x and y of the centre, width, height."""
    return np.concatenate((rows[:, :2] - rows[:, 2:] / 2, rows[:, :2] + rows[:, 2:] / 2), 1)


def from_corner(rows: np.ndarray) -> np.ndarray:
    """Corners `[N, 4]` of boxes as left, top, width, height."""
    return np.concatenate((rows[:, :2], rows[:, :2] + rows[:, 2:]), 1)


CENTRE = "x and y of the centre, width, height"
CORNER = "left, top, width, height"
CORNERS = "left, top, right, bottom"
SLACK = 0.01
"""Part of the picture's side by which rounding puts a box outside."""
DOUBT = 0.1
"""Part of the boxes outside the picture from which on another layout is looked for."""
FEW = 2
"""So many at least."""
COINCIDE = 0.95
"""IoU above which two labels are hardly two things."""
ROUNDED = 0.8
"""IoU of labels that differ by rounding: small boxes overlap less."""


def outside(xyxy: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """`[N]`, which boxes reach beyond pictures of `limits` `[N, 2]`, width and height."""
    both = np.concatenate((limits, limits), 1)
    outside: np.ndarray = (xyxy < -SLACK * both) | (xyxy > (1 + SLACK) * both)
    return np.asarray(outside.any(1))


def other_layout(xyxy: np.ndarray, limits: np.ndarray, others: Mapping[str, np.ndarray]) -> str | None:
    """The name of the layout in which boxes were written, where it clearly is not the one they were read in.

    Args:
        xyxy: `[N, 4]`, corners as they were read.
        limits: `[N, 2]`, width and height of each picture.
        others: Name -> corners, as they would be in another layout.
    """
    wrong = outside(xyxy, limits)
    if wrong.sum() < FEW or wrong.mean() <= DOUBT:
        return None
    for name, corners in others.items():
        if (corners[:, 2:] > corners[:, :2]).all() and not outside(corners, limits).any():
            return name
    return None


def distinct(labels: Labels, rounding: Sequence[float]) -> tuple[np.ndarray, int]:
    """Places of the labels without later ones that are equal, and how many of those nearly coincide with another one.

    Args:
        labels: Of one picture.
        rounding: How far each side of a box may be off where the same label was written with fewer digits.
    """
    boxes, count = labels.xyxy, len(labels.xyxy)
    same = (labels.class_id[:, None] == labels.class_id) & (labels.crowd[:, None] == labels.crowd)
    earlier = same & np.tri(count, k=-1, dtype=bool)
    overlaps = _overlaps(boxes)
    rounded = (np.abs(boxes[:, None] - boxes[None]) <= rounding).all(-1) & (overlaps >= ROUNDED)
    repeated = (earlier & rounded).any(1)
    near = earlier & (overlaps > COINCIDE) & ~labels.crowd & ~repeated
    return np.flatnonzero(~repeated), int((near.any(1) & ~repeated).sum())


def _overlaps(boxes: np.ndarray) -> np.ndarray:
    shared = np.clip(
        np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(boxes[:, None, :2], boxes[None, :, :2]), 0, None
    ).prod(-1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    result: np.ndarray = shared / np.maximum(areas[:, None] + areas[None] - shared, 1e-12)
    return result
