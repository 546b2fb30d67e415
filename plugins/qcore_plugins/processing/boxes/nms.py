"""Non-maximum suppression: the only one."""

from __future__ import annotations

import numpy as np

CLASS_OFFSET = np.float32(7680)
"""Pixels by which boxes of each class are moved apart. In float32 this rounds coordinates, by up to 1/32 px for the
80th class, and so decides borderline overlaps; the published accuracies were made this way."""


def suppress(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray | None, iou: float, limit: int) -> np.ndarray:
    """Greedy non-maximum suppression.

    A box goes if an accepted box of its class overlaps it by more than `iou`. Boxes without area overlap nothing.

    Args:
        boxes: `[N, 4]` xyxy in any unit.
        scores: `[N]`.
        classes: `[N]`; None lets boxes of all classes suppress each other.
        iou: Threshold, 0..1.
        limit: Stop after this many.

    Returns:
        Indices of the accepted boxes, best first; of equal scores the earlier stays first.
    """
    order = np.argsort(-scores, kind="stable")
    boxes = boxes[order].astype(np.float32)
    if classes is not None:
        boxes = boxes + classes[order, None].astype(np.float32) * CLASS_OFFSET
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    alive = np.ones(len(order), bool)
    kept: list[int] = []
    index = 0
    while index < len(order) and len(kept) < limit:
        kept.append(int(order[index]))
        rest = np.flatnonzero(alive[index + 1 :]) + index + 1
        corner = np.maximum(boxes[rest, :2], boxes[index, :2])
        sides = np.clip(np.minimum(boxes[rest, 2:], boxes[index, 2:]) - corner, 0, None)
        shared = sides[:, 0] * sides[:, 1]
        alive[rest[shared > iou * (areas[rest] + areas[index] - shared)]] = False
        following = np.flatnonzero(alive[index + 1 :])
        index = index + 1 + int(following[0]) if len(following) else len(order)
    return np.array(kept, np.int64)
