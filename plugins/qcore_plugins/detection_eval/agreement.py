"""How far two models find the same objects in the same pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from qcore_plugins.detection_eval.pairing import CONFIDENCE, MARGIN, NEAR, pair
from qcore_plugins.detections import Detections

SAME = 0.9
"""Overlap from which two boxes are the same."""
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
            found = pair(reference, candidate, limit)
            alone[limit] += int(found.lost.sum() + found.gained.sum())
            both = (found.partner >= 0) & (reference.confidence >= CONFIDENCE)
            if limit == NEAR:
                shifts += (candidate.confidence[found.partner[both]] - reference.confidence[both]).tolist()
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
