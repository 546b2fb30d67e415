"""How output tensors are read: from what the contract says they mean to boxes and scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qcore.plugin import Tensor, UsageError
from qcore_kit.boxes.anchors import decode
from qcore_kit.boxes.arrays import constant, library
from qcore_kit.boxes.bins import decode_joined

Reader = Callable[[Mapping[str, Any]], tuple[Any, Any]]
"""Outputs by name -> boxes `[B, N, 4]` xyxy in input pixels and scores `[B, N, classes]`, NumPy or torch."""


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


def reader(outputs: Sequence[Tensor]) -> Reader:
    """The function that reads outputs of these meanings and stages.

    Raises:
        UsageError: No reader for them.
    """
    said = tuple((output.meaning, output.stage) for output in outputs)
    names = [output.name for output in outputs]
    if len(said) == 1 and said[0][0] in JOINED and said[0][1] == "decoded":
        return lambda given: JOINED[said[0][0] or ""].read(given[names[0]])
    if said in (((LABELLED, "decoded"),), ((LABELLED, "nms"),)):
        count = int(outputs[0].attributes["classes"])
        return lambda given: _labelled(given[names[0]], count)
    if sorted(said) == [("boxes", "decoded"), ("scores", "decoded")]:
        where = {output.meaning: output.name for output in outputs}
        return lambda given: (given[where["boxes"]], given[where["scores"]])
    if said and set(said) == {("boxes-objectness-classes", "raw")}:
        strides = [float(output.attributes["stride"]) for output in outputs]
        pixels = [np.asarray(output.attributes["anchors"], np.float32) for output in outputs]
        anchors = np.stack([anchor / stride for anchor, stride in zip(pixels, strides, strict=True)])
        return lambda given: JOINED["boxes-objectness-classes"].read(
            decode([given[name] for name in names], constant(anchors, given[names[0]]), strides)
        )
    if said and set(said) == {("boxes-classes", "raw")}:
        steps = [float(output.attributes["stride"]) for output in outputs]
        bins = np.asarray(outputs[0].attributes["bins"], np.float32)
        return lambda given: JOINED["boxes-classes"].read(
            decode_joined([given[name] for name in names], steps, constant(bins, given[names[0]]))
        )
    listed = ", ".join(f"{output.name} ({output.meaning}, {output.stage})" for output in outputs)
    raise UsageError(
        f"the postprocessor yolo does not know these outputs: {listed}",
        hint="docs/contract.md lists the meanings it reads",
    )


def suppressed_names(outputs: Sequence[Tensor]) -> list[str]:
    """Names of counts, boxes, scores and classes where the suppression is inside the graph; else nothing."""
    names = {output.meaning: output.name for output in outputs if output.stage == "nms"}
    wanted = ("counts", "boxes", "scores", "classes")
    return [names[meaning] for meaning in wanted] if set(names) == set(wanted) else []


def _labelled(decoded: Any, count: int) -> tuple[Any, Any]:
    """`[B, N, 6]` with left, top, right, bottom, score, class: the score at its class, 0 at the others."""
    xp, _ = library(decoded)
    classes = constant(np.arange(count), decoded)
    return decoded[..., :4], xp.where(decoded[..., 5:6] == classes, decoded[..., 4:5], 0 * decoded[..., 4:5])


def _corners(boxes: Any) -> Any:
    xp, _ = library(boxes)
    half = boxes[..., 2:4] / 2
    return xp.concatenate((boxes[..., :2] - half, boxes[..., :2] + half), -1)
