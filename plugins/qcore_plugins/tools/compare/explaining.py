"""What was done to the values of a tensor so that they became the other's, where something simple explains it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from qcore_kit.comparison.rung import Cause

Named = Callable[[int], str]
"""What a channel, an index on the last axis, is called."""
FACTOR = 1.5
"""From here on a factor is a fault; below, it is a loss that quantization can make."""
DEAD = 1e-6
"""Part of the largest channel's size below which a channel tells nothing."""
TINY = 1e-100


def explained(name: str, one: Any, other: Any, named: Named, limit: float) -> Iterator[Cause]:
    """Causes of which each brings the candidate's values to those of the reference.

    Args:
        name: Of the tensor.
        one: Values of the reference; the last axis has channels.
        other: Of the candidate, of the same shape.
        named: Of the channels.
        limit: Cosine from which values are the same.
    """
    left, right = one.astype(np.float64), other.astype(np.float64)
    before = _size(left)
    sizes = (_size(right) / before)[before > before.max() * DEAD]
    if not _varies(right) and _varies(left):
        yield Cause(f"constant: {name}", f"{name}: CANDIDATE gives the same values at every place")
    elif (
        sizes.min() > TINY and np.abs(np.log(sizes)).min() > np.log(FACTOR) and _same(_sized(left, right), right, limit)
    ):
        text = f"CANDIDATE gives {_said(float(sizes.min()), float(sizes.max()))} times the values of REF for {name}"
        yield Cause(f"another scale: {name}", text)
    elif (order := _order(left, right)) and _same(left[..., order], right, limit):
        moved = next(place for place, there in enumerate(order) if place != there)
        text = f"{name}: CANDIDATE gives REF's {named(order[moved])} where {named(moved)} belongs"
        yield Cause(f"another order: {name}", text)
    elif _part(left) and not _part(right) and _same(left, _sigmoid(right), limit):
        text = f"{name}: CANDIDATE gives values of {right.min():.3g}..{right.max():.3g} before the sigmoid"
        yield Cause(f"no sigmoid: {name}", text)
    elif _part(left) and _same(_sigmoid(left), right, limit):
        yield Cause(f"sigmoid twice: {name}", f"{name}: CANDIDATE gives the sigmoid of REF's values")


def _same(left: Any, right: Any, limit: float) -> bool:
    """Whether direction and size are those of values with a cosine from the limit on."""
    apart = float(((left - right) ** 2).sum())
    return apart <= 2 * (1 - limit) * float((right * right).sum()) and bool(np.any(right))


def _order(left: Any, right: Any) -> list[int]:
    """For each channel of the candidate the one of the reference that is most like it; empty where that is no order."""
    columns = [(each / _size(each)).reshape(-1, each.shape[-1]) for each in (left, right)]
    like = columns[0].T @ columns[1]
    order: list[int] = like.argmax(0).tolist()
    return order if sorted(order) == list(range(len(order))) != order else []


def _size(values: Any) -> Any:
    """Norm of each channel."""
    return np.maximum(np.linalg.norm(values.reshape(-1, values.shape[-1]), axis=0), TINY)


def _sized(values: Any, like: Any) -> Any:
    """Values with every channel as large as the other's."""
    return values * (_size(like) / _size(values))


def _varies(values: Any) -> bool:
    return bool(np.ptp(values.reshape(-1, values.shape[-1]), axis=0).any())


def _said(low: float, high: float) -> str:
    """A factor, as a fraction where it is below 1."""
    ends = dict.fromkeys(f"1/{1 / each:.4g}" if each < 1 else f"{each:.4g}" for each in (low, high))
    return " to ".join(ends)


def _part(values: Any) -> bool:
    return bool(values.min() >= 0 and values.max() <= 1)


def _sigmoid(values: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(values, -500, 500)))
