"""Boxes of two models in one picture: who is whose partner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcore_kit.boxes.detections import Detections, overlaps

CONFIDENCE = 0.25
"""From here on a box has to have a partner."""
MARGIN = 0.02
"""A box that is this close to the threshold needs none."""
NEAR = 0.5
"""Overlap from which two boxes are of the same object."""


@dataclass(frozen=True)
class Pairing:
    """Partners at one overlap.

    Attributes:
        partner: For each box of the reference the index of its partner in the candidate, or -1.
        lost: Which boxes of the reference from the confidence `sure` on have none.
        gained: Which boxes of the candidate from the confidence `sure` on are nobody's.
    """

    partner: np.ndarray
    lost: np.ndarray
    gained: np.ndarray


def pair(
    reference: Detections,
    candidate: Detections,
    limit: float,
    *,
    any_class: bool = False,
    sure: float = CONFIDENCE + MARGIN,
) -> Pairing:
    """Match boxes of each class one to one, the most confident of the reference first.

    Args:
        reference: Found by the one.
        candidate: Found by the other.
        limit: Least overlap (IoU) of partners.
        any_class: Whether partners may be of different classes.
        sure: Confidence from which a box has to have a partner.
    """
    partner = np.full(len(reference), -1)
    taken = np.zeros(len(candidate), bool)
    if len(reference) and len(candidate):
        overlap = overlaps(reference.xyxy, candidate.xyxy)
        if not any_class:
            overlap[reference.class_id[:, None] != candidate.class_id[None]] = 0
        for index in np.argsort(-reference.confidence, kind="stable"):
            best = int(np.where(taken, 0, overlap[index]).argmax())
            if not taken[best] and overlap[index, best] >= limit:
                partner[index], taken[best] = best, True
    return Pairing(partner, (reference.confidence >= sure) & (partner < 0), (candidate.confidence >= sure) & ~taken)


def above(found: Detections, confidence: float = CONFIDENCE) -> Detections:
    """The detections from a confidence on."""
    return chosen(found, found.confidence >= confidence)


def chosen(found: Detections, which: np.ndarray) -> Detections:
    """Some detections: a mask or indices."""
    return Detections(found.xyxy[which], found.confidence[which], found.class_id[which], found.names)
