"""How one output holds boxes and class scores, by what the contract says it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qcore.plugin import Tensor
from qcore_kit.boxes.arrays import library


@dataclass(frozen=True)
class Joined:
    """How one output holds boxes and class scores.

    Attributes:
        rows: Whether a box is a row, `[B, N, values]`, not a column, `[B, values, N]`.
        corners: Whether a box is left, top, right, bottom, not cx, cy, w, h.
        objectness: Whether a factor on all class scores stands before them.
    """

    rows: bool
    corners: bool = False
    objectness: bool = False

    @property
    def before(self) -> int:
        """Values of a box before its first class score."""
        return 5 if self.objectness else 4

    @property
    def axis(self) -> int:
        """Of the output's three: the one along which the values of a box lie."""
        return 2 if self.rows else 1

    def read(self, decoded: Any) -> tuple[Any, Any]:
        """Boxes `[B, N, 4]` xyxy and scores `[B, N, classes]`."""
        rows = decoded if self.rows else decoded.swapaxes(1, 2)
        boxes = rows[..., :4] if self.corners else _corners(rows[..., :4])
        return boxes, rows[..., 5:] * rows[..., 4:5] if self.objectness else rows[..., 4:]


JOINED = {
    "boxes-objectness-classes": Joined(rows=True, objectness=True),
    "boxes-classes": Joined(rows=False),
    "boxes-classes-rows": Joined(rows=True),
    "corners-classes": Joined(rows=False, corners=True),
    "corners-classes-rows": Joined(rows=True, corners=True),
}
"""Meanings of one decoded output with a score for each class."""
LABELLED = "corners-score-class"
"""Meaning of `[B, N, 6]`: left, top, right, bottom, the best class's score, that class; attribute `classes`: how
many there are; at stage `nms` the boxes were selected and stand in order of their score."""


def suppressed_names(outputs: Sequence[Tensor]) -> list[str]:
    """Names of counts, boxes, scores and classes where the suppression is inside the graph; else nothing."""
    names = {output.meaning: output.name for output in outputs if output.stage == "nms"}
    wanted = ("counts", "boxes", "scores", "classes")
    return [names[meaning] for meaning in wanted] if set(names) == set(wanted) else []


def _corners(boxes: Any) -> Any:
    xp, _ = library(boxes)
    half = boxes[..., 2:4] / 2
    return xp.concatenate((boxes[..., :2] - half, boxes[..., :2] + half), -1)
