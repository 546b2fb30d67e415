"""Whether labels and detections are of the same pictures and number the classes alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from qcore_kit.boxes.detections import Detections
from qcore_plugins.tasks.detection.labels import Labels
from qcore_plugins.tasks.detection.matching import IOU, crowd_overlaps

ENOUGH = 10
"""Labels and detections from which on it is no chance."""


def remarks(found: Sequence[Detections], labels: Sequence[Labels], names: Sequence[str]) -> Iterator[str]:
    """What the run shows of the data: classes that are numbered in another order, boxes that fit nowhere.

    Args:
        found: Detections of each picture.
        labels: Its labels.
        names: Of the data's classes.
    """
    pairs = Counter[tuple[int, int]]()
    for each, there in zip(found, labels, strict=True):
        pairs.update(_pairs(each, there.chosen(~there.crowd)))
    counted = sum(int((~there.crowd).sum()) for there in labels)
    if min(counted, sum(map(len, found))) < ENOUGH:
        return
    if not pairs:
        yield f"none of the {counted} labels overlaps a detection; check that labels and pictures belong together"
    others = Counter({pair: count for pair, count in pairs.items() if pair[0] != pair[1]})
    if others.total() >= ENOUGH and others.total() > pairs.total() / 2:
        (label, detection), _ = others.most_common(1)[0]
        yield (
            f"{others.total()} of {pairs.total()} labels are found as another class, e.g. {names[label]} as "
            f"{names[detection]}; check the order of the class names"
        )


def _pairs(found: Detections, labels: Labels) -> list[tuple[int, int]]:
    """Class of each label that a detection overlaps, and that of the most confident such detection."""
    if not len(found) or not len(labels.class_id):
        return []
    near = crowd_overlaps(found.xyxy.astype(np.float64), labels) >= IOU
    best = np.where(near, found.confidence[:, None], -1).argmax(0)
    kinds = zip(labels.class_id, found.class_id[best], np.asarray(near.any(0)), strict=True)
    return [(int(label), int(detection)) for label, detection, hit in kinds if hit]
