"""How output tensors are read: from what the contract says they mean to boxes and scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from qcore.contract import Tensor
from qcore.errors import UsageError
from qcore_plugins.heads.arrays import constant, library
from qcore_plugins.heads.dfl import decode_joined
from qcore_plugins.heads.yolov5 import decode

Reader = Callable[[Mapping[str, Any]], tuple[Any, Any]]
"""Outputs by name -> boxes `[B, N, 4]` xyxy in input pixels and scores `[B, N, classes]`, NumPy or torch."""


def reader(outputs: Sequence[Tensor]) -> Reader:
    """The function that reads outputs of these meanings and stages.

    Raises:
        UsageError: No reader for them.
    """
    said = tuple((output.meaning, output.stage) for output in outputs)
    names = [output.name for output in outputs]
    if said == (("boxes-objectness-classes", "decoded"),):
        return lambda given: _objectness(given[names[0]])
    if said == (("boxes-classes", "decoded"),):
        return lambda given: _classes(given[names[0]])
    if sorted(said) == [("boxes", "decoded"), ("scores", "decoded")]:
        where = {output.meaning: output.name for output in outputs}
        return lambda given: (given[where["boxes"]], given[where["scores"]])
    if said and set(said) == {("boxes-objectness-classes", "raw")}:
        strides = [float(output.attributes["stride"]) for output in outputs]
        pixels = [np.asarray(output.attributes["anchors"], np.float32) for output in outputs]
        anchors = np.stack([anchor / stride for anchor, stride in zip(pixels, strides, strict=True)])
        return lambda given: _objectness(
            decode([given[name] for name in names], constant(anchors, given[names[0]]), strides)
        )
    if said and set(said) == {("boxes-classes", "raw")}:
        steps = [float(output.attributes["stride"]) for output in outputs]
        bins = np.asarray(outputs[0].attributes["bins"], np.float32)
        return lambda given: _classes(
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


def _objectness(decoded: Any) -> tuple[Any, Any]:
    """`[B, N, 5 + classes]` with cx, cy, w, h, objectness, class scores; the score is their product."""
    return _corners(decoded[..., :4]), decoded[..., 5:] * decoded[..., 4:5]


def _classes(decoded: Any) -> tuple[Any, Any]:
    """`[B, 4 + classes, N]` with cx, cy, w, h, class scores."""
    rows = decoded.swapaxes(1, 2)
    return _corners(rows[..., :4]), rows[..., 4:]


def _corners(boxes: Any) -> Any:
    xp, _ = library(boxes)
    half = boxes[..., 2:4] / 2
    return xp.concatenate((boxes[..., :2] - half, boxes[..., :2] + half), -1)
