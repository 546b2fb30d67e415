"""A quantity of the raw outputs in two models, and what no rounding does to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qcore.comparing.ranks import rank_correlation
from qcore.comparing.tensors import Sums

ALIKE, ROOM = 0.6, 10.0
"""Lowest correlation by rank of a quantity of the raw outputs, and largest factor between their sizes. YOLOv5n in INT8
against float has .96 (.90 at the worst picture) and .93 to 1.05; dead, constant or saturated outputs have 0."""
PARTS, PART = 20, 0.3
"""Parts of a long axis of rows, and the lowest correlation of one: a joined output has the coarsest of three levels in
its last twentieth. YOLOv5n in INT8 has .77; a level that is dead has 0."""


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
