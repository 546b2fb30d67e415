"""What chance does to counts and means of few boxes."""

from __future__ import annotations

import math

BEYOND = 0.01
"""Probability below which a count is not put down to chance."""
NORMAL = 1.96
"""Deviations that hold 95 % of a normal distribution."""


def beyond(count: int, of: int, allowed: float, chance: float = BEYOND) -> bool:
    """Whether so many are more than chance makes of the part that is allowed: the exact binomial test, one-sided.

    Args:
        count: How many there are.
        of: Among how many.
        allowed: The part, 0..1.
        chance: Probability below which it is no chance; smaller if one of several counts is enough.
    """
    return count > allowed * of and _at_least(count, of, allowed) < chance


def highest(count: int, of: int) -> float:
    """The largest part, 0..1, that a count is likely to come of: upper end of Wilson's 95 % interval (1927)."""
    if not of:
        return 1.0
    share, room = count / of, NORMAL**2 / of
    middle = share + room / 2
    return (middle + NORMAL * math.sqrt(share * (1 - share) / of + room / (4 * of))) / (1 + room)


def error(squares: float, mean: float, count: int, least: float) -> float:
    """Two standard errors of a mean.

    Args:
        squares: Sum of the squared values.
        mean: Their mean.
        count: How many there are.
        least: One value that stands for what few cannot tell.
    """
    return 2 * math.sqrt(max(squares - count * mean**2 + least**2, 0.0)) / max(count, 1)


def _at_least(count: int, of: int, part: float) -> float:
    """Probability of `count` or more successes among `of`."""
    logs = (
        math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1)
        + k * math.log(part) + (of - k) * math.log1p(-part)
        for k in range(count, of + 1)
    )  # fmt: skip
    return math.fsum(map(math.exp, logs))
