"""A package's histogram calibrator, on any device and in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from qcore_kit.quantization.histogram import HALF, Histogram
from qcore_kit.quantization.table import Range

BINS = 2048
"""Bins that the packages' own methods are made for."""


class Streaming:
    """Goes in front of a package's `HistogramCalibrator`, and gives it a histogram that does not grow.

    The packages' own one gets as many bins as the largest value asks for, and the older one's `mse` needs a GPU.
    """

    rounded: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    """The package's int8 rounding of values with an amax."""

    def __init__(self) -> None:
        super().__init__(num_bits=8, axis=None, unsigned=False)  # type: ignore[call-arg]
        self.seen = Histogram()

    def collect(self, x: torch.Tensor) -> None:
        """Values of one batch."""
        self.seen.add(x.detach().cpu().numpy())

    def compute_amax(self, method: str, **options: Any) -> torch.Tensor | None:
        """The largest magnitude to keep, or None where nothing was seen."""
        if not self.seen.lows:
            return None
        both = self.seen.counts[HALF:] + self.seen.counts[:HALF][::-1]
        return torch.tensor(self._amax(both, max(*self._ends()), method, options))

    def compute_range(self, method: str, **options: Any) -> Range | None:
        """The range for asymmetric quantization, the method applied to each side of 0, with the symmetric amax."""
        if not np.isfinite([*self.seen.lows, *self.seen.highs]).all():
            return Range(math.nan, math.nan, method)
        amax = self.compute_amax(method, **options)
        if amax is None:
            return None
        below, above = self._ends()
        low = self._amax(self.seen.counts[:HALF][::-1], below, method, options) if below > 0 else below
        high = self._amax(self.seen.counts[HALF:], above, method, options) if above > 0 else above
        return Range(-low, high, method, float(amax))

    def _ends(self) -> tuple[float, float]:
        """How far values go below and above 0."""
        return -min(self.seen.lows), max(self.seen.highs)

    def _amax(self, counts: np.ndarray, largest: float, method: str, options: dict[str, Any]) -> float:
        if method == "max" or not counts.any():
            return largest
        width = self.seen.width
        if method == "percentile":  # of all values, so that a side with few of them is not cut more
            outside = self.seen.counts.sum() * (1 - options["percentile"] / 100)
            kept = int(np.searchsorted(counts[::-1].cumsum(), outside, side="right"))
            return min(largest, (len(counts) - kept) * width)
        counts, width = counts.reshape(BINS, -1).sum(1), width * (HALF // BINS)
        self._calib_hist, self._calib_bin_edges = counts, np.arange(len(counts) + 1) * width
        package: Any = super()
        amax = self._mse() if method == "mse" else package.compute_amax(method, **options)
        return min(largest, float(amax))

    def _mse(self) -> torch.Tensor:
        """The amax with the smallest mean squared error over the histogram: the package's rule, without its GPU."""
        counts = torch.from_numpy(self._calib_hist).double()
        edges = torch.from_numpy(self._calib_bin_edges)
        centres = (edges[1:] + edges[:-1]) / 2
        last = int(torch.nonzero(counts).max()) + 1
        candidates = centres[min(128, last - 1) : last]
        errors = [((self.rounded(centres, amax) - centres) ** 2 * counts).sum() for amax in candidates]
        return candidates[int(torch.stack(errors).argmin())].float()
