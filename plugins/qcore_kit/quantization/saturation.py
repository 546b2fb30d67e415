"""Sums of int8 products on x86 CPUs without VNNI, which clip the sum of each two neighbouring products to int16.

`vpmaddubsw` multiplies uint8 activations by int8 weights and adds neighbouring products: 255*127 + 255*127 becomes
32767. CPUs with VNNI or AMX add without clipping. Which products are neighbours depends on the runtime. The arithmetic
here gives the same integers as the kernels, on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcore_kit.quantization.products import HIGHEST, LOWEST, Products, pairs

NARROW = 64
"""Weights within +-64 cannot saturate: 255 * 64 * 2 = 32640."""
CHUNK = 1 << 24
"""Products held at a time."""
NOISELESS = 200.0
"""Signal-to-noise ratio in dB that stands for no noise at all."""


@dataclass(frozen=True)
class Loss:
    """What clipping does to the sums of one operation; losses of the same operation can be added.

    Attributes:
        signal: Sum of the squares of the exact sums.
        noise: Sum of the squares of what clipping changes.
        ratio: Largest sum of a pair as a part of what int16 holds; 0 if no pair of weights can exceed that.
    """

    signal: float = 0.0
    noise: float = 0.0
    ratio: float = 0.0

    def __add__(self, other: Loss) -> Loss:
        return Loss(self.signal + other.signal, self.noise + other.noise, max(self.ratio, other.ratio))

    @property
    def decibels(self) -> float:
        """Signal-to-noise ratio, 10 log10(signal / noise); `NOISELESS` where nothing was clipped."""
        if self.noise == 0:
            return NOISELESS
        return min(NOISELESS, 10 * math.log10(self.signal / self.noise)) if self.signal else -NOISELESS


def sums(
    products: Products, values: np.ndarray, point: int, kernels: str, places: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Exact and saturating sums of an operation, int64 [outputs, output channels].

    Args:
        products: The operation.
        values: Its input as uint8; int8 inputs as value + 128, which saturate in the same way.
        point: Zero point of `values`.
        kernels: `MLAS` or `ONEDNN`; of several kernels, those for AVX2.
        places: As in `Products.columns`.
    """
    _, centred = products.columns(values, point, places)
    exact = _exact(products, centred)
    return exact, exact + clipped(products, values, point, kernels, places)


def clipped(
    products: Products, values: np.ndarray, point: int, kernels: str, places: np.ndarray | None = None
) -> np.ndarray:
    """What saturation adds to the exact sums, int64 [outputs, output channels]; arguments as in `sums`."""
    raw, _ = products.columns(values, point, places)
    orders = products.orders(kernels, point)
    if not orders:
        return np.zeros((len(raw), products.rows.shape[0] * products.rows.shape[1]), np.int64)
    return _clipping(products, raw, orders[0])[0]


def measure(
    products: Products,
    values: np.ndarray,
    point: int,
    kernels: str,
    *,
    scale: np.ndarray | float = 1.0,
    places: np.ndarray | None = None,
    unit: float | None = None,
) -> Loss:
    """What clipping does to an operation on one input; of several kernels, the worst.

    Args:
        products: As in `sums`, like the next three.
        values: Likewise.
        point: Likewise.
        kernels: Likewise.
        scale: Of the weights: one number, or one for each output channel, or channel of a group.
        places: As in `Products.columns`.
        unit: Likewise.
    """
    raw, centred = products.columns(values, point, places, unit)
    exact = _exact(products, centred)
    scale = np.resize(scale, exact.shape[1])
    signal = float(((exact * scale) ** 2).sum())
    losses = [Loss(signal)]
    for order in products.orders(kernels, point):
        change, ratio = _clipping(products, raw, order)
        losses.append(Loss(signal, float(((change * scale) ** 2).sum()), ratio))
    return max(losses, key=lambda loss: (loss.noise, loss.ratio))


def sampled(products: Products, shape: Sequence[int], count: int, seed: int = 0) -> np.ndarray | None:
    """At most `count` outputs drawn at random, as `places`; None where there are no more than that."""
    total = products.outputs(shape)
    return None if total <= count else np.random.default_rng(seed).choice(total, count, replace=False)


def can_saturate(products: Products, kernels: str, point: int = 0) -> bool:
    """Whether some input makes a pair of this operation leave int16; arguments as in `Products.orders`."""
    return any(products.exceeding(order)[0].size for order in products.orders(kernels, point))


def _exact(products: Products, centred: np.ndarray) -> np.ndarray:
    """Sums [outputs, output channels]; float64 holds them exactly, and multiplies fast."""
    groups, channels = products.rows.shape[:2]
    left = centred.reshape(*centred.shape[:2], -1).transpose(1, 0, 2).astype(np.float64)
    right = products.rows.reshape(groups, channels, -1).transpose(0, 2, 1).astype(np.float64)
    return np.rint(left @ right).astype(np.int64).transpose(1, 0, 2).reshape(len(centred), -1)


def _clipping(products: Products, raw: np.ndarray, order: str) -> tuple[np.ndarray, float]:
    """What clipping adds to the sums, and the largest pair: only pairs that can leave int16 are looked at."""
    groups, channels = products.rows.shape[:2]
    change = np.zeros((len(raw), groups * channels), np.int64)
    group, channel, pair = products.exceeding(order)
    if not group.size or not len(raw):
        return change, 0.0
    weights = pairs(products.rows, order)[group, channel, pair].astype(np.int32)
    values = pairs(raw, order).astype(np.int32)
    target, largest = group * channels + channel, 0
    step = max(1, CHUNK // len(raw))
    for start in range(0, len(target), step):
        part = slice(start, start + step)
        total = (values[:, group[part], pair[part]] * weights[part]).sum(-1)
        largest = max(largest, int(np.abs(total).max()))
        ends = np.flatnonzero(np.diff(target[part], prepend=-1))
        change[:, target[part][ends]] += np.add.reduceat(np.clip(total, LOWEST, HIGHEST) - total, ends, axis=1)
    return change, largest / HIGHEST
