"""A quantity of the raw outputs in two models: what must not be whatever was rounded on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from qcore.comparing.ranks import rank_correlation
from qcore.comparing.tensors import Sums

ALIKE, ROOM = 0.6, 10.0
"""Lowest correlation by rank of a quantity of the raw outputs, and largest factor between their sizes. YOLOv5n in INT8
against float has .96 (.90 at the worst picture) and .93 to 1.05; dead, constant or saturated outputs have 0."""


@dataclass
class Quantity:
    """Collects a quantity input by input."""

    sums: Sums = field(default_factory=lambda: Sums(coarse=(0, 0.0)))
    ranks: list[float] = field(default_factory=list)

    def add(self, one: Any, other: Any, place: Callable[[tuple[int, ...]], str]) -> None:
        """The values of one input."""
        self.sums.add(one, other, place, "")
        self.ranks.append(rank_correlation(one, other))

    @property
    def correlation(self) -> float:
        """By rank, on average over the inputs."""
        return sum(self.ranks) / max(len(self.ranks), 1)

    def figures(self) -> dict[str, Any]:
        """By name."""
        return {**self.sums.figures(), "correlation": self.correlation}

    def broken(self, name: str) -> Iterator[str]:
        """Lines about values that have nothing to do with those of the other."""
        if not math.isfinite(self.sums.apart):
            yield f"raw outputs: {name} have values that are no numbers"
        elif self.correlation < ALIKE:
            yield f"raw outputs: {name} have a rank correlation of {self.correlation:.3f}, below {ALIKE:g}"
        elif not 1 / ROOM <= self.sums.size <= ROOM:
            yield f"raw outputs: {name} are {self.sums.size:.3g} times as large"
