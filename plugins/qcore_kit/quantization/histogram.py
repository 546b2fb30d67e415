"""What is kept of a tensor's values during calibration, and the range that follows from it."""

from __future__ import annotations

import base64
import math
import zlib
from functools import lru_cache
from typing import Any

import numpy as np

from qcore.plugin import FileError
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

    def merge(self, other: Histogram) -> None:
        """Add what another saw: the same as if this one had seen all of it, in whatever order."""
        self.lows += other.lows
        self.highs += other.highs
        if other.width:
            self.width = self.width or other.width
            counts, width = other.counts, other.width
            while self.width < width:
                self._widen()
            while width < self.width:
                counts, width = _widened(counts), 2 * width
            self.counts = self.counts + counts

    def state(self) -> dict[str, Any]:
        """As plain data that JSON can hold."""
        counts = base64.b64encode(zlib.compress(self.counts.astype("<i8").tobytes())).decode()
        return {"width": self.width, "lows": self.lows, "highs": self.highs, "counts": counts}

    @classmethod
    def of(cls, state: Any) -> Histogram:
        """The inverse of `state`.

        Raises:
            FileError: It is no such state.
        """
        histogram, size = cls(), 8 * 2 * HALF
        try:
            packed = zlib.decompressobj().decompress(base64.b64decode(state["counts"], validate=True), size)
            histogram.width, histogram.counts = float(state["width"]), np.frombuffer(packed, "<i8").astype(np.int64)
            histogram.lows, histogram.highs = ([float(end) for end in state[key]] for key in ("lows", "highs"))
            exponent = math.frexp(histogram.width)[0]  # a power of two, or 0
            right = (
                histogram.counts.shape == (2 * HALF,)
                and exponent in (0, 0.5)
                and len(histogram.lows) == len(histogram.highs)
            )
        except (KeyError, TypeError, ValueError, zlib.error, OverflowError) as error:
            raise FileError("not what calibration sees of a tensor") from error
        if not right or (histogram.counts < 0).any():
            raise FileError("not what calibration sees of a tensor")
        return histogram

    def _widen(self) -> None:
        self.counts, self.width = _widened(self.counts), 2 * self.width

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
            low, high = (math.fsum(ends) / len(ends) for ends in (self.lows, self.highs))  # in whatever order
        elif method == "percentile" and self.counts.any():
            total = self.counts.cumsum()
            outside = total[-1] * (1 - PERCENTILE / 100)
            first, last = np.searchsorted(total, [outside, total[-1] - outside])
            low, high = max(low, (first - HALF) * self.width), min(high, (last + 1 - HALF) * self.width)
        return Range(float(low), float(high), method)


def _widened(counts: np.ndarray) -> np.ndarray:
    """The counts in bins of twice the width."""
    wide = np.zeros_like(counts)
    wide[HALF // 2 : HALF + HALF // 2] = counts.reshape(-1, 2).sum(1)
    return wide
