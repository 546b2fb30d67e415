"""Correlation by rank: whether values that are larger in one tensor are larger in the other."""

from __future__ import annotations

from typing import Any

import numpy as np

SAMPLE = 8_000
"""Values that are looked at: drawn at random, as every n-th of an output would be of some channels only."""


def rank_correlation(one: Any, other: Any) -> float:
    """Spearman's, 1904, of a sample of the values: a few large ones do not decide it, as they do Pearson's.

    Args:
        one: Of any shape.
        other: Of the same.

    Returns:
        1 where all values are equal, 0 where one of the two does not vary or is no number.
    """
    left, right = (np.ravel(value).astype(np.float64) for value in (one, other))
    if len(left) > SAMPLE:
        places = np.random.default_rng(0).integers(len(left), size=SAMPLE)
        left, right = left[places], right[places]
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return 0.0
    if np.array_equal(left, right):
        return 1.0
    ranks = [_ranks(values) for values in (left, right)]
    size = float(np.linalg.norm(ranks[0]) * np.linalg.norm(ranks[1]))
    return float(ranks[0] @ ranks[1]) / size if size else 0.0


def _ranks(values: Any) -> Any:
    """Less their mean; equal values have the mean of their ranks."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count + 1) / 2
    return middle[place] - (len(values) - 1) / 2
