"""What is kept of a tensor's values during calibration, and the range that follows from it."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from qcore_kit.quantization.table import Range

HALF = 4096
"""Bins on each side of zero."""
SAMPLES = 1 << 16
"""Values of one tensor and batch that enter the histogram; smallest and largest are taken over all."""
PERCENTILE = 99.999
"""Share of the values that is kept below the upper and above the lower end."""


@lru_cache(maxsize=64)
def _places(size: int) -> np.ndarray:
    """Where the values of a tensor are looked at: one place at random in each of `SAMPLES` equal parts.

    A fixed stride would keep to a few channels or columns wherever it shares a factor with their number. The places
    follow from the size alone, so that neither the order of the tensors nor that of the batches matters.
    """
    ends = np.linspace(0, size, SAMPLES + 1).astype(np.int64)
    return np.random.default_rng(size).integers(ends[:-1], ends[1:])


class Histogram:
    """Counts in bins of equal width around zero, smallest and largest value, and the means of those over batches.

    The width doubles whenever a value falls outside, and pairs of bins become one: zero stays an edge between bins, so
    nothing is lost but resolution.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(2 * HALF, np.int64)
        self.width = 0.0
        self.lows: list[float] = []
        self.highs: list[float] = []

    def add(self, values: np.ndarray) -> None:
        """Values of one batch, of any shape."""
        flat = values.reshape(-1)
        low, high = float(flat.min()), float(flat.max())
        self.lows.append(low)
        self.highs.append(high)
        largest = max(-low, high)
        if not math.isfinite(largest) or largest == 0:
            return
        if self.width == 0:
            self.width = 2.0 ** math.ceil(math.log2(largest / HALF))
        while largest >= self.width * HALF:
            self._widen()
        sampled = flat if flat.size <= SAMPLES else flat[_places(flat.size)]
        bins = np.floor(sampled * (1 / self.width)).astype(np.int32) + HALF
        self.counts += np.bincount(np.clip(bins, 0, 2 * HALF - 1), minlength=2 * HALF)

    def _widen(self) -> None:
        pairs = self.counts.reshape(-1, 2).sum(1)
        self.counts = np.zeros_like(self.counts)
        self.counts[HALF // 2 : HALF + HALF // 2] = pairs
        self.width *= 2

    def range(self, method: str) -> Range:
        """The range of the tensor.

        Args:
            method: `percentile`: without the outermost 0.001 % on each side. `moving-average`: means of the batches'
                smallest and largest values. `minmax`: smallest and largest value of all.
        """
        if not np.isfinite([*self.lows, *self.highs]).all():
            return Range(math.nan, math.nan, method)
        low, high = min(self.lows), max(self.highs)
        if method == "moving-average":
            low, high = sum(self.lows) / len(self.lows), sum(self.highs) / len(self.highs)
        elif method == "percentile" and self.counts.any():
            total = self.counts.cumsum()
            outside = total[-1] * (1 - PERCENTILE / 100)
            first, last = np.searchsorted(total, [outside, total[-1] - outside])
            low, high = max(low, (first - HALF) * self.width), min(high, (last + 1 - HALF) * self.width)
        return Range(float(low), float(high), method)
