"""A quantity of the raw outputs in two models, and what no rounding does to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qcore_kit.verification.ranks import rank_correlation

COSINES = {"float": 0.9999, "half": 0.999, "quantized": 0.9}
"""Lowest cosine of a quantity, by what may be expected of the numbers. Measured for YOLOv5n and a YOLOv9-T: float on
another runtime 1 - 1e-11, float16 .99999, bfloat16 .9997, INT8 .97; scores rounded to 0 with their boxes 0."""
SIZE_FACTORS = {"float": 1.015, "half": 1.05, "quantized": 10.0}
"""Largest factor between the values of two models, to which the cosine is blind. Measured for the scores of a YOLOv9-T
in INT8: 1.4 in a picture with one small object, 2.8 where there is none and all scores are near 0."""
COARSE = 257
"""Different values that an 8-bit tensor can have, and one for a clipped end."""
ALIKE, ROOM = 0.6, 10.0
"""Lowest correlation by rank of a quantity of the raw outputs, and largest factor between their sizes. YOLOv5n in INT8
against float has .96 (.90 at the worst picture) and .93 to 1.05; dead, constant or saturated outputs have 0."""
PARTS, PART = 20, 0.3
"""Parts of a long axis of rows, and the lowest correlation of one: a joined output has the coarsest of three levels in
its last twentieth. YOLOv5n in INT8 has .77; a level that is dead has 0."""


@dataclass
class Sums:
    """What cosine, mean and largest difference of a quantity follow from."""

    dot: float = 0.0
    left: float = 0.0
    right: float = 0.0
    ends: tuple[float, float] = (math.inf, -math.inf)
    apart: float = 0.0
    count: int = 0
    largest: float = 0.0
    where: str = ""
    values: tuple[float, float] = (0.0, 0.0)
    coarse: tuple[int, float] | None = None

    def add(self, one: Any, other: Any, place: Callable[[tuple[int, ...]], str], said: str) -> None:
        """The values of one input."""
        left, right = one.astype(np.float64), other.astype(np.float64)
        difference = np.abs(left - right)
        self.dot += float((left * right).sum())
        self.left += float((left * left).sum())
        self.right += float((right * right).sum())
        self.ends = min(self.ends[0], float(left.min())), max(self.ends[1], float(left.max()))
        self.apart += float(difference.sum())
        self.count += difference.size
        index = tuple(int(at) for at in np.unravel_index(int(difference.argmax()), difference.shape))
        if not (difference[index] < self.largest or math.isnan(self.largest)):
            self.largest, self.where = float(difference[index]), f"{place(index)} of {said}"
            self.values = float(left[index]), float(right[index])
        if self.coarse is None:
            self.coarse = _levels(one, other)

    @property
    def cosine(self) -> float:
        """Cosine similarity over all values: 1 where both are 0, 0 where one is, or where not all are numbers."""
        if not math.isfinite(self.apart):
            return 0.0
        if self.left == 0 or self.right == 0:
            return float(self.left == self.right)
        return self.dot / math.sqrt(self.left * self.right)

    @property
    def error(self) -> float:
        """The largest difference, as a part of the span of the reference's values."""
        span = self.ends[1] - self.ends[0]
        return self.largest / span if span > 0 else math.inf if self.largest else 0.0

    @property
    def size(self) -> float:
        """Root mean square of the candidate's values over that of the reference; 1 where both are 0."""
        if self.left == 0 or not math.isfinite(self.apart):
            return float(self.left == self.right)
        return math.sqrt(self.right / self.left)

    def within(self, exactness: str) -> bool:
        """Whether direction and size are those of equal values, as far as may be expected."""
        room = SIZE_FACTORS[exactness]
        return self.cosine >= COSINES[exactness] and 1 / room <= self.size <= room

    def figures(self) -> dict[str, Any]:
        """By name."""
        return {
            "cosine": self.cosine,
            "size": self.size,
            "mean_difference": self.apart / max(self.count, 1),
            "largest_difference": self.largest,
            "error": self.error,
            "where": self.where,
            "reference": self.values[0],
            "candidate": self.values[1],
        }


def _levels(one: Any, other: Any) -> tuple[int, float]:
    """How many different values the other has, and their distance; (0, 0) where the first has no more."""
    levels = np.unique(other)
    if len(levels) > COARSE or len(np.unique(one)) < 4 * len(levels):
        return 0, 0.0
    return len(levels), float(np.diff(levels).min()) if len(levels) > 1 else 0.0


@dataclass
class Quantity:
    """Collects a quantity input by input.

    Attributes:
        constant: Which columns have had one value in all rows of each input, though the reference's have not.
    """

    sums: Sums = field(default_factory=lambda: Sums(coarse=(0, 0.0)))
    ranks: list[float] = field(default_factory=list)
    parts: list[list[float]] = field(default_factory=list)
    constant: Any = None

    def add(self, one: Any, other: Any, place: Callable[[tuple[int, ...]], str]) -> None:
        """The values of one input."""
        self.sums.add(one, other, place, "")
        self.ranks.append(rank_correlation(one, other))
        self.parts.append([rank_correlation(*pair) for pair in zip(_apart(one), _apart(other), strict=True)])
        if _apart(one):
            still = (np.ptp(other, axis=(0, 1)) == 0) & (np.ptp(one, axis=(0, 1)) > 0)
            self.constant = still if self.constant is None else self.constant & still

    @property
    def correlation(self) -> float:
        """By rank, on average over the inputs."""
        return sum(self.ranks) / max(len(self.ranks), 1)

    @property
    def worst_part(self) -> tuple[int, float]:
        """Number of the part of the rows whose correlation is lowest on average over the inputs, from 1, and that."""
        means = [sum(each) / len(each) for each in zip(*self.parts, strict=True)]
        lowest = min(means, default=1.0)
        return (means.index(lowest) + 1, lowest) if means else (1, 1.0)

    def figures(self) -> dict[str, Any]:
        """By name."""
        return {**self.sums.figures(), "correlation": self.correlation, "worst_part": self.worst_part[1]}

    def broken(self, name: str) -> Iterator[str]:
        """Lines about values that have nothing to do with those of the other."""
        if not math.isfinite(self.sums.apart):
            yield f"raw outputs: {name} contain values that are not numbers"
        elif self.correlation < ALIKE:
            yield f"raw outputs: {name} have a rank correlation of {self.correlation:.3f}, below {ALIKE:g}"
        elif self.worst_part[1] < PART:
            place, lowest = self.worst_part
            where = f"part {place} of {PARTS} of their rows"
            yield f"raw outputs: {name} have a rank correlation of {lowest:.3f} in {where}, below {PART:g}"
        elif self.constant is not None and self.constant.any():
            columns = np.flatnonzero(self.constant)
            several = f" and {len(columns) - 1} more" if len(columns) > 1 else ""
            yield f"raw outputs: {name} have one and the same value in all rows of column {columns[0]}{several}"
        elif not 1 / ROOM <= self.sums.size <= ROOM:
            yield f"raw outputs: {name} are {self.sums.size:.3g} times as large"


def _apart(values: Any) -> list[Any]:
    """Parts along the rows of `[N, rows, channels]`; nothing of other shapes."""
    if values.ndim != 3 or values.shape[1] < PARTS**2:
        return []
    return list(np.array_split(values, PARTS, axis=1))
