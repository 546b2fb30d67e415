"""Whether the postprocessor kept fewer detections of a picture than it had, and that matters."""

from __future__ import annotations

from pathlib import Path

from qcore.plugin import Step
from qcore_kit.boxes.detections import Detections
from qcore_plugins.tasks.detection import oddities
from qcore_plugins.tasks.detection.labels import Labels
from qcore_plugins.tasks.detection.oddities import Oddities

SURE = 0.1
"""Confidence from which detections that are cut off count. Evaluation keeps them from .001 on and most of those below
are of nothing: a full list is usual there, and costs no AP."""


def limits(*steps: Step) -> frozenset[int]:
    """How many detections the postprocessor keeps of a picture at most, if its parameters say so.

    Args:
        *steps: The postprocessing, as it may run.
    """
    kept = {step.params.get("max_detections") for step in steps}
    return frozenset(most for most in kept if isinstance(most, int))


def tell(odd: Oddities, path: Path, found: Detections, labels: Labels, kept: frozenset[int]) -> None:
    """Count a picture whose list of detections is full, and of which more would have counted.

    Args:
        odd: Where it is counted.
        path: Of the picture.
        found: All of its detections.
        labels: Its labels.
        kept: As `limits` gives it.
    """
    count = len(found)
    if count in kept and (max(len(labels.class_id), odd.counted) > count or found.confidence.min() >= SURE):
        odd.add(oddities.CAPPED, f"{count} in {path}")
