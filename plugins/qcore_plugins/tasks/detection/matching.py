"""Precision, recall and F1 of detections against labels, at the threshold where F1 is best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qcore_kit.boxes.detections import Detections
from qcore_plugins.tasks.detection.dataset import Labels

IOU = 0.5
"""Overlap from which a detection is right, as in AP50."""


def hits(found: Detections, labels: Labels) -> np.ndarray:
    """For each detection: 1 where it is right, 0 where it is wrong, -1 where it does not count (a crowd).

    The most confident detection goes first; each takes the free label of its class that it overlaps most.
    """
    return matched(found, labels)[0]


def matched(found: Detections, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    """The same, and which labels no detection found."""
    verdict = np.zeros(len(found), np.int64)
    free = ~labels.crowd
    overlap = crowd_overlaps(found.xyxy.astype(np.float64), labels)
    for index in np.argsort(-found.confidence, kind="stable"):
        same = (labels.class_id == found.class_id[index]) & (overlap[index] >= IOU)
        if (candidates := np.flatnonzero(same & free)).size:
            taken = candidates[overlap[index, candidates].argmax()]
            free[taken], verdict[index] = False, 1
        elif (same & labels.crowd).any():
            verdict[index] = -1
    return verdict, free


def best_f1(confidences: Sequence[np.ndarray], verdicts: Sequence[np.ndarray], labels: int) -> dict[str, float]:
    """Precision, recall, F1 and the threshold at which F1 is highest, over all classes together.

    Args:
        confidences: Of all detections, picture by picture.
        verdicts: Of `hits`, likewise.
        labels: Number of labels that count.
    """
    nothing = {"precision": 0.0, "recall": 0.0, "F1": 0.0, "threshold": 0.0}
    if not confidences or labels == 0:
        return nothing
    confidence, verdict = np.concatenate(list(confidences)), np.concatenate(list(verdicts))
    counted = verdict >= 0
    confidence, verdict = confidence[counted], verdict[counted]
    if not len(confidence):
        return nothing
    order = np.argsort(-confidence, kind="stable")
    confidence, right = confidence[order], verdict[order].cumsum()
    last = np.append(confidence[1:] != confidence[:-1], True)  # a threshold cannot part equal confidences
    right, taken, confidence = right[last], np.arange(1, len(last) + 1)[last], confidence[last]
    f1 = 2 * right / (taken + labels)
    best = int(f1.argmax())
    return {
        "precision": float(right[best] / taken[best]),
        "recall": float(right[best] / labels),
        "F1": float(f1[best]),
        "threshold": float(confidence[best]),
    }


def crowd_overlaps(boxes: np.ndarray, labels: Labels) -> np.ndarray:
    """IoU `[detections, labels]`; for crowds the part of the detection that is covered, as COCO does."""
    low = np.maximum(boxes[:, None, :2], labels.xyxy[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], labels.xyxy[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    own = (boxes[:, 2:] - boxes[:, :2]).prod(-1)[:, None]
    theirs = (labels.xyxy[:, 2:] - labels.xyxy[:, :2]).prod(-1)[None]
    whole = np.where(labels.crowd[None], own, own + theirs - shared)
    result: np.ndarray = shared / np.maximum(whole, 1e-9)
    return result
