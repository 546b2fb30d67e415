"""How far two models find the same objects in the same pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from qcore_plugins.detections import Detections, overlaps

IOU = 0.9
"""Overlap from which two boxes are one."""
CONFIDENCE = 0.25
"""From here on a box has to have a partner."""
DIFFERENT = 0.01
"""Part of the boxes that may have none."""
SHIFT = 0.02
"""How far the confidences of partners may lie apart on average; a box that close to the threshold needs no partner."""


def agreement(pairs: Iterable[tuple[Detections, Detections]]) -> dict[str, Any]:
    """Match the boxes of each class one to one, the most confident first, and compare.

    Args:
        pairs: Of a reference and a candidate, for each picture.

    Returns:
        boxes: Of the reference above the threshold.
        different: Boxes of either side without a partner, as a part of all.
        shift: Mean distance of the confidences of partners.
        largest_shift: The largest.
        agree: Whether both are within bounds.
        summary: One line.
    """
    boxes = lost = counted = 0
    shifts: list[float] = []
    for reference, candidate in pairs:
        partner = _matched(reference, candidate)
        certain = reference.confidence >= CONFIDENCE + SHIFT
        boxes += int((reference.confidence >= CONFIDENCE).sum())
        found = np.zeros(len(candidate), bool)
        found[partner[partner >= 0]] = True
        alone = (candidate.confidence >= CONFIDENCE + SHIFT) & ~found
        lost += int((certain & (partner < 0)).sum()) + int(alone.sum())
        counted += int(certain.sum()) + int((candidate.confidence >= CONFIDENCE + SHIFT).sum())
        both = (partner >= 0) & (reference.confidence >= CONFIDENCE)
        shifts += np.abs(reference.confidence[both] - candidate.confidence[partner[both]]).tolist()
    different = lost / counted if counted else 0.0
    shift, largest = (float(np.mean(shifts)), float(np.max(shifts))) if shifts else (0.0, 0.0)
    return {
        "boxes": boxes,
        "different": different,
        "shift": shift,
        "largest_shift": largest,
        "agree": different <= DIFFERENT and shift <= SHIFT,
        "summary": f"{boxes} boxes, {different:.2%} without a partner at IoU {IOU}, "
        f"confidences {shift:.4f} apart on average, {largest:.4f} at most",
    }


def _matched(reference: Detections, candidate: Detections) -> np.ndarray:
    """For each box of the reference the index of its partner, or -1."""
    partner = np.full(len(reference), -1)
    if not len(reference) or not len(candidate):
        return partner
    overlap = overlaps(reference.xyxy, candidate.xyxy)
    overlap[reference.class_id[:, None] != candidate.class_id[None]] = 0
    free = np.ones(len(candidate), bool)
    for index in np.argsort(-reference.confidence, kind="stable"):
        best = int(np.where(free, overlap[index], 0).argmax())
        if free[best] and overlap[index, best] >= IOU:
            partner[index], free[best] = best, False
    return partner
