"""How certain a difference in AP is: COCO's matching kept per picture, AP of resampled pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcore_kit.boxes.detections import Detections
from qcore_plugins.tasks.detection.dataset import Labels
from qcore_plugins.tasks.detection.matching import crowd_overlaps
from qcore_plugins.tasks.detection.oddities import COUNTED

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
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
    def of(cls, found: Sequence[Detections], labels: Sequence[Labels], most: int = COUNTED) -> Matches:
        """Match every picture's detections with its labels, by COCO's rules.

        Args:
            found: One a picture.
            labels: Likewise; class indices mean the same.
            most: Detections of one class in one picture that count.
        """
        collected = Matching(most)
        for each, truth in zip(found, labels, strict=True):
            collected.add(each, truth)
        return collected.matches()

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


class Matching:
    """Collects matches picture by picture, 14 bytes a detection.

    Args:
        most: Detections of one class in one picture that count.
    """

    def __init__(self, most: int = COUNTED) -> None:
        self._most = most
        self._found = bytearray()  # one growing block: small arrays between the pictures' own would part the heap
        self._labels: dict[int, dict[int, int]] = {}
        self.pictures = 0

    def add(self, found: Detections, labels: Labels) -> None:
        """One picture; class indices of both mean the same."""
        place, self.pictures = self.pictures, self.pictures + 1
        for kind in {*labels.class_id.tolist(), *found.class_id.tolist()}:
            mine = labels.class_id == kind
            there = labels.chosen(mine)
            if mine.any():
                self._labels.setdefault(kind, {})[place] = int((~there.crowd).sum())
            chosen = np.flatnonzero(found.class_id == kind)
            chosen = chosen[np.argsort(-found.confidence[chosen], kind="stable")][: self._most]
            if len(chosen):
                overlap = crowd_overlaps(found.xyxy[chosen].astype(np.float64), there)
                right, counts = _matched(overlap, there.crowd)
                self._found += _stored(place, kind, found.confidence[chosen], right, counts).tobytes()

    def matches(self) -> Matches:
        """Everything collected so far."""
        every = np.frombuffer(bytes(self._found), STORED)
        every = every[np.argsort(-every["confidence"], kind="stable")]
        matches = []
        for kind in sorted(self._labels):
            own = every[every["kind"] == kind]
            labels = np.zeros(self.pictures, int)
            labels[list(self._labels[kind])] = list(self._labels[kind].values())
            bits = 1 << np.arange(len(THRESHOLDS), dtype=np.uint16)[:, None]
            matches.append(
                _Class(own["picture"].astype(int), (own["right"] & bits) > 0, (own["counts"] & bits) > 0, labels)
            )
        return Matches(tuple(matches), self.pictures)


STORED = np.dtype([("picture", "u4"), ("kind", "u2"), ("confidence", "f4"), ("right", "u2"), ("counts", "u2")])
"""A detection: `right` and `counts` have one bit for each threshold."""


def _stored(place: int, kind: int, confidence: np.ndarray, right: np.ndarray, counts: np.ndarray) -> np.ndarray:
    rows = np.zeros(len(confidence), STORED)
    bits = 1 << np.arange(len(THRESHOLDS), dtype=np.uint16)[:, None]
    rows["picture"], rows["kind"], rows["confidence"] = place, kind, confidence
    rows["right"], rows["counts"] = (right * bits).sum(0), (counts * bits).sum(0)
    return rows


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
    precisions = []
    for row in range(thresholds):
        places = np.searchsorted(right[row] / labels, RECALLS, side="left")
        reached = places < right.shape[1]
        precisions.append(np.where(reached, precision[row][np.minimum(places, right.shape[1] - 1)], 0.0).mean())
    return float(np.mean(precisions))
