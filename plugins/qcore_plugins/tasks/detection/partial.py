"""Faults of a part of the boxes, which hardly show in figures over all: a dead class, boxes beside the objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from qcore.plugin import counted
from qcore_kit.boxes.detections import Detections
from qcore_plugins.tasks.detection.chance import BEYOND, beyond, error
from qcore_plugins.tasks.detection.pairing import NEAR, above, pair

DEAD = 0.6
"""Part of the boxes of a class from which on the class is called lost. At confidence .02, quantization loses 5 %."""
EDGES = "left", "top", "right", "bottom"
UNKNOWN = 0.2
"""What few boxes cannot tell of an offset, as a part of the box."""

Pairs = Sequence[tuple[Detections, Detections]]


def dead_classes(pairs: Pairs, confidence: float) -> Iterator[str]:
    """One line for each class most of whose boxes the candidate does not find, not even at half the confidence."""
    boxes: Counter[int] = Counter()
    lost: Counter[int] = Counter()
    for one, other in pairs:
        left, right = above(one, confidence / 2), above(other, confidence / 2)
        partners = pair(left, right, NEAR, sure=confidence)
        boxes.update(left.class_id[left.confidence >= confidence].tolist())
        lost.update(left.class_id[partners.lost].tolist())
    names = next((one.names for one, _ in pairs if one.names), ())
    for number, count in sorted(boxes.items()):
        if beyond(lost[number], count, DEAD, BEYOND / len(boxes)):
            name = names[number] if number < len(names) else number
            yield f"{lost[number]} of {counted(count, 'box')} of class {name} lost at confidence {confidence:g}"


def shifted(pairs: Pairs, confidence: float, allowed: float) -> Iterator[str]:
    """A line if an edge of the boxes lies aside on average, as a part of the box and beyond what chance does."""
    offsets = []
    for one, other in pairs:
        left, right = above(one, confidence), above(other, confidence)
        partner = pair(left, right, NEAR, sure=confidence).partner
        both = partner >= 0
        box = left.xyxy[both].astype(np.float64)
        side = np.sqrt((box[:, 2:] - box[:, :2]).prod(1, keepdims=True))
        offsets.append((right.xyxy[partner[both]] - box) / np.maximum(side, 1e-9))
    moved = np.concatenate(offsets) if offsets else np.zeros((0, 4))
    if not len(moved):
        return
    means = moved.mean(0)
    worst = int(np.abs(means).argmax())
    mean = float(means[worst])
    if abs(mean) - error(float((moved[:, worst] ** 2).sum()), mean, len(moved), UNKNOWN) > allowed:
        yield f"{EDGES[worst]} edges of the boxes lie {mean:+.1%} of the box aside on average"
