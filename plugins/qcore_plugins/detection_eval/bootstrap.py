"""How certain a difference in AP is: COCO's matching kept per picture, AP of resampled pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcore_plugins.detection_eval.dataset import Labels
from qcore_plugins.detection_eval.matching import crowd_overlaps
from qcore_plugins.detections import Detections

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MOST = 100
"""Detections of one class and picture that count, as in COCO's AP."""
RESAMPLES = 500
CONFIDENCE = 0.95


@dataclass(frozen=True)
class _Class:
    """All detections of one class, the most confident first.

    Attributes:
        picture: Of each detection, `[D]`.
        right: Whether it is right at each IoU, `[10, D]`.
        counts: Whether it counts at all: detections of crowds do not, `[10, D]`.
        labels: Number of labels in each picture, `[P]`.
    """

    picture: np.ndarray
    right: np.ndarray
    counts: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Matches:
    """What AP of any choice of the pictures follows from."""

    classes: tuple[_Class, ...]
    pictures: int

    @classmethod
    def of(cls, found: Sequence[Detections], labels: Sequence[Labels]) -> Matches:
        """Match every picture's detections with its labels, by COCO's rules.

        Args:
            found: One a picture.
            labels: Likewise; class indices mean the same.
        """
        kinds = sorted({int(kind) for each in labels for kind in each.class_id})
        return cls(tuple(_of_class(kind, found, labels) for kind in kinds), len(labels))

    def average_precision(self, weights: np.ndarray | None = None, *, loose: bool = False) -> float:
        """AP at IoU .50 to .95, all sizes.

        Args:
            weights: How often each picture counts, `[P]`; once by default.
            loose: At IoU .50 only: AP50.
        """
        weights = np.ones(self.pictures) if weights is None else weights
        scores = [_precision(each, weights, 1 if loose else len(THRESHOLDS)) for each in self.classes]
        known = [score for score in scores if score is not None]
        return float(np.mean(known)) if known else 0.0


def difference(
    reference: Matches, candidate: Matches, *, loose: bool = False, seed: int = 0
) -> tuple[float, float, float]:
    """AP of the candidate less that of the reference, with a paired bootstrap interval over pictures.

    Returns:
        The difference, and the ends of its 95 % interval (percentile method, Efron 1979).
    """
    rng = np.random.default_rng(seed)
    count = reference.pictures

    def change(weights: np.ndarray | None) -> float:
        both = (each.average_precision(weights, loose=loose) for each in (candidate, reference))
        return next(both) - next(both)

    draws = (np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(RESAMPLES))
    drawn = [change(weights.astype(np.float64)) for weights in draws]
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [outside, 1 - outside])
    return change(None), float(low), float(high)


def _of_class(kind: int, found: Sequence[Detections], labels: Sequence[Labels]) -> _Class:
    pictures, confidences, rights, counts, numbers = [], [], [], [], []
    for place, (each, truth) in enumerate(zip(found, labels, strict=True)):
        mine = truth.class_id == kind
        there = Labels(truth.xyxy[mine], truth.class_id[mine], truth.crowd[mine], truth.area[mine])
        numbers.append(int((~there.crowd).sum()))
        chosen = np.flatnonzero(each.class_id == kind)
        chosen = chosen[np.argsort(-each.confidence[chosen], kind="stable")][:MOST]
        if not len(chosen):
            continue
        right, counted = _matched(crowd_overlaps(each.xyxy[chosen].astype(np.float64), there), there.crowd)
        pictures.append(np.full(len(chosen), place))
        confidences.append(each.confidence[chosen])
        rights.append(right)
        counts.append(counted)
    if not pictures:
        nothing = np.zeros((len(THRESHOLDS), 0), bool)
        return _Class(np.zeros(0, int), nothing, nothing, np.array(numbers))
    order = np.argsort(-np.concatenate(confidences), kind="stable")
    return _Class(
        np.concatenate(pictures)[order],
        np.concatenate(rights, 1)[:, order],
        np.concatenate(counts, 1)[:, order],
        np.array(numbers),
    )


def _matched(overlap: np.ndarray, crowd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Right, and counts, at each threshold: a detection takes the free label that it overlaps most, else a crowd."""
    right = np.zeros((len(THRESHOLDS), len(overlap)), bool)
    counts = np.ones_like(right)
    for row, threshold in enumerate(THRESHOLDS):
        free = ~crowd
        for index in range(len(overlap)):
            candidates = np.where(free, overlap[index], 0.0)
            if len(candidates) and candidates.max() >= threshold:
                free[int(candidates.argmax())] = False
                right[row, index] = True
            elif (overlap[index][crowd] >= threshold).any():
                counts[row, index] = False
    return right, counts


def _precision(each: _Class, weights: np.ndarray, thresholds: int) -> float | None:
    """Mean over the first thresholds of the interpolated precision at 101 recalls; None where no label is left."""
    labels = float((each.labels * weights).sum())
    if labels == 0:
        return None
    if not len(each.picture):
        return 0.0
    weight = weights[each.picture] * each.counts[:thresholds]
    right = np.cumsum(weight * each.right[:thresholds], 1)
    taken = np.cumsum(weight, 1)
    precision = right / np.maximum(taken, 1e-12)
    precision = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    found = []
    for row in range(thresholds):
        places = np.searchsorted(right[row] / labels, RECALLS - 1e-12, side="left")
        reached = places < right.shape[1]
        found.append(np.where(reached, precision[row][np.minimum(places, right.shape[1] - 1)], 0.0).mean())
    return float(np.mean(found))
