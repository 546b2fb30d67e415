"""How far two models find the same objects in the same pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from qcore_plugins.detections import Detections, overlaps

CONFIDENCE = 0.25
"""From here on a box has to have a partner."""
MARGIN = 0.02
"""A box that is this close to the threshold needs none."""
SAME, NEAR = 0.9, 0.5
"""Overlaps from which two boxes are the same, and of the same object."""
LOST = 0.05
"""Part of the objects that may be found by one model only."""
BIAS, SHIFT = 0.02, 0.05
"""How far confidences may lie apart on average: with their sign, and without."""


def agreement(pairs: Iterable[tuple[Detections, Detections]]) -> dict[str, Any]:
    """Match the boxes of each class one to one, the most confident first, and compare.

    The verdict allows what rounding does: a value that float arithmetic puts on the other side of half a step becomes
    one step in integers, and thirty layers later a tenth of all values are a step apart. Such differences move boxes by
    pixels and confidences both ways; a fault loses objects or moves confidences one way.

    Args:
        pairs: Of a reference and a candidate, for each picture.

    Returns:
        boxes: Of the reference above the threshold.
        different: Boxes of either without a partner at IoU .9, as a part of all.
        lost: The same at IoU .5.
        shift, bias, largest_shift: Distance of the confidences of partners: mean, mean with its sign, largest.
        agree: Whether `lost` (or one box), `bias` and `shift` are within bounds.
        summary: One line.
    """
    boxes = counted = 0
    alone = {SAME: 0, NEAR: 0}
    shifts: list[float] = []
    for reference, candidate in pairs:
        boxes += int((reference.confidence >= CONFIDENCE).sum())
        for limit in alone:
            partner = _matched(reference, candidate, limit)
            alone[limit] += _alone(reference, candidate, partner)
            both = (partner >= 0) & (reference.confidence >= CONFIDENCE)
            if limit == NEAR:
                shifts += (candidate.confidence[partner[both]] - reference.confidence[both]).tolist()
        counted += sum(int((each.confidence >= CONFIDENCE + MARGIN).sum()) for each in (reference, candidate))
    moved = np.array(shifts or [0.0])
    different, lost = (alone[limit] / max(counted, 1) for limit in (SAME, NEAR))
    shift, bias, largest = float(np.abs(moved).mean()), float(moved.mean()), float(np.abs(moved).max())
    return {
        "boxes": boxes,
        "different": different,
        "lost": lost,
        "shift": shift,
        "bias": bias,
        "largest_shift": largest,
        "agree": (lost <= LOST or alone[NEAR] <= 1) and abs(bias) <= BIAS and shift <= SHIFT,
        "summary": f"{boxes} boxes, {different:.1%} without a partner at IoU {SAME} and {lost:.1%} at {NEAR}, "
        f"confidences {shift:.4f} apart on average ({bias:+.4f}), {largest:.4f} at most",
    }


def _alone(reference: Detections, candidate: Detections, partner: np.ndarray) -> int:
    """Boxes clearly above the threshold that the other side does not have."""
    found = np.zeros(len(candidate), bool)
    found[partner[partner >= 0]] = True
    sure = CONFIDENCE + MARGIN
    return int(((reference.confidence >= sure) & (partner < 0)).sum() + ((candidate.confidence >= sure) & ~found).sum())


def _matched(reference: Detections, candidate: Detections, limit: float) -> np.ndarray:
    """For each box of the reference the index of its partner, or -1."""
    partner = np.full(len(reference), -1)
    if not len(reference) or not len(candidate):
        return partner
    overlap = overlaps(reference.xyxy, candidate.xyxy)
    overlap[reference.class_id[:, None] != candidate.class_id[None]] = 0
    free = np.ones(len(candidate), bool)
    for index in np.argsort(-reference.confidence, kind="stable"):
        best = int(np.where(free, overlap[index], 0).argmax())
        if free[best] and overlap[index, best] >= limit:
            partner[index], free[best] = best, False
    return partner
