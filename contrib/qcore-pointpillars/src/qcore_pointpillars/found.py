"""The postprocessor `anchors-3d`, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcore_pointpillars.boxes import anchors, decode, suppress

CANDIDATES = 300
"""Anchors of the highest scores that suppression sees."""


@dataclass(frozen=True)
class Found:
    """Boxes of one cloud, the best first.

    Attributes:
        boxes: `[n, 7]`, as in `qcore_pointpillars.boxes`.
        scores: `[n]`, 0..1.
        labels: `[n]`, names of classes.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: tuple[str, ...]


class Anchors3D:
    """Logits and offsets at anchors to boxes in the coordinates of the cloud."""

    def __init__(self, params, outputs, classes):
        self.names = [tensor.name for tensor in outputs]
        self.classes = classes
        self.anchors = anchors(params["area"], params["stride"])
        self.confidence, self.iou, self.limit = params["confidence"], params["iou"], params["limit"]

    def __call__(self, outputs, contexts):
        classes, boxes, directions = (np.asarray(outputs[name], np.float32) for name in self.names)
        return [self._one(classes[place], boxes[place], directions[place]) for place in range(len(contexts))]

    def _one(self, logits, offsets, directions):
        scores = 1 / (1 + np.exp(-np.clip(logits, -50, 50)))
        best = scores.max(1)
        sure = np.flatnonzero((best >= self.confidence) & np.isfinite(offsets).all(1))
        chosen = sure[np.argsort(-best[sure], kind="stable")[:CANDIDATES]]
        boxes = decode(offsets[chosen], directions[chosen].argmax(1), self.anchors[chosen])
        kept = suppress(boxes, best[chosen], self.iou)[: self.limit]
        labels = tuple(self.classes[label] for label in scores[chosen[kept]].argmax(1))
        return Found(boxes[kept], best[chosen[kept]], labels)
