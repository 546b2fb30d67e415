"""Weighted operations as integer kernels compute them: which values each output reads, and which products are pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

MLAS, ONEDNN = "mlas", "onednn"
"""Libraries of kernels; which products are neighbours differs between them."""
KERNELS = {"onnxruntime": MLAS, "openvino": ONEDNN}
"""Runtime -> the kernels that it multiplies with."""
CHANNELS = "channels"
"""Pairs of input channels (0, 1), (2, 3), ... at one place of the kernel; an odd count is filled up with a zero."""
FLATTENED = "flattened"
"""Pairs of the values (place of the kernel, input channel) written one after the other; channels change first."""
LOWEST, HIGHEST = -(2**15), 2**15 - 1
"""What int16 holds."""
BRIGHTEST = 255


@dataclass(frozen=True)
class Products:
    """A weighted operation as integers compute it.

    Attributes:
        op: `Conv`, `ConvTranspose`, `Gemm` or `MatMul`.
        weight: int8, in ONNX's layout for the operation.
        group: Number of groups of a convolution.
        strides: Of a convolution, a number for each spatial axis; empty for 1.
        dilations: Likewise.
        pads: Beginnings of all spatial axes, then their ends; empty for 0.
        auto_pad: ONNX's attribute; replaces `pads` unless it is `NOTSET`.
        output_padding: Of a transposed convolution, for each spatial axis; empty for 0.
        transposed: Whether a Gemm's weight has the output channels on axis 0.
        turned: Whether a Gemm's input has its channels on axis 0.
    """

    op: str
    weight: np.ndarray = field(repr=False)
    group: int = 1
    strides: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    auto_pad: str = "NOTSET"
    output_padding: tuple[int, ...] = ()
    transposed: bool = False
    turned: bool = False

    @classmethod
    def of(cls, op: str, weight: np.ndarray, attributes: Mapping[str, Any]) -> Products:
        """From an ONNX operation's attributes.

        Args:
            op: Kind of the operation.
            weight: int8, as stored.
            attributes: Name -> value; those that do not matter here are ignored.
        """
        auto = attributes.get("auto_pad", "NOTSET")
        return cls(
            op,
            weight,
            group=int(attributes.get("group", 1)),
            strides=tuple(attributes.get("strides", ())),
            dilations=tuple(attributes.get("dilations", ())),
            pads=tuple(attributes.get("pads", ())),
            auto_pad=auto.decode() if isinstance(auto, bytes) else str(auto),
            output_padding=tuple(attributes.get("output_padding", ())),
            transposed=op == "Gemm" and bool(attributes.get("transB", 0)),
            turned=op == "Gemm" and bool(attributes.get("transA", 0)),
        )

    @cached_property
    def rows(self) -> np.ndarray:
        """The weight as [groups, output channels of a group, places of the kernel, input channels of a group].

        The matrices of a stacked MatMul are taken for further output channels.
        """
        weight = self.weight
        if self.op == "Conv":
            split = weight.reshape(self.group, -1, weight.shape[1], math.prod(weight.shape[2:]))
            return split.transpose(0, 1, 3, 2)
        if self.op == "ConvTranspose":
            split = weight.reshape(self.group, -1, weight.shape[1], math.prod(weight.shape[2:]))
            return split.transpose(0, 2, 3, 1)
        if self.transposed:
            return weight[None, :, None, :]
        stacked = weight.reshape(-1, *(weight.shape[-2:] if weight.ndim > 1 else (len(weight), 1)))
        return stacked.transpose(0, 2, 1).reshape(1, -1, 1, stacked.shape[1])

    def orders(self, kernels: str, point: int) -> tuple[str, ...]:
        """The orders in which CPUs without VNNI add this operation in pairs; none if it is computed exactly.

        Several where kernels differ: oneDNN's for AVX2, which come first, and for AVX-512.

        Args:
            kernels: `MLAS` or `ONEDNN`.
            point: Zero point of the input.
        """
        grouped = self.group > 1
        if grouped and self.rows.shape[1] == self.rows.shape[3] == 1:
            return ()  # depthwise kernels multiply in 32 bits
        if self.op == "ConvTranspose" and (kernels == MLAS or point):
            return ()  # runs in float
        if kernels == MLAS:
            return (FLATTENED,)
        return (FLATTENED, CHANNELS) if grouped and self.rows.shape[3] % 2 else (CHANNELS,)

    def exceeding(self, order: str) -> tuple[np.ndarray, ...]:
        """(group, output channel, pair) of all pairs that can leave int16: equal signs, together beyond +-128."""
        first, second = np.moveaxis(pairs(self.rows, order).astype(np.int32), -1, 0)
        total = (first + second) * BRIGHTEST
        return np.nonzero(((total > HIGHEST) | (total < LOWEST)) & (first * second > 0))

    def columns(
        self, values: np.ndarray, point: int, places: np.ndarray | None = None, unit: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """What each output reads: as stored, and less the zero point, both [outputs, groups, places, channels].

        Args:
            values: The input as uint8: [batch, channels, ...] of a convolution, [..., channels] otherwise.
            point: Its zero point, which is also what padding holds.
            places: Which of the outputs, counted over batch and spatial axes; None for all.
            unit: Scale of the input, if `values` are its real values.
        """

        def stored(real: np.ndarray) -> np.ndarray:
            return real if unit is None else np.clip(np.rint(real / unit) + point, 0, BRIGHTEST).astype(np.uint8)

        if self.op in {"Gemm", "MatMul"}:
            values = values.T if self.turned else values
            raw = values.reshape(-1, values.shape[-1])
            raw = stored(raw if places is None else raw[places])[:, None, None, :]
            return raw, raw.astype(np.int32) - point
        index, inside = self._reading(values.shape, places)
        raw = stored(np.moveaxis(values, 1, -1)[index])
        raw = np.where(inside[..., None], raw, np.uint8(0 if self.op == "ConvTranspose" else point))
        centred = np.where(inside[..., None], raw.astype(np.int32) - point, 0)
        shape = (*inside.shape, self.group, -1)
        return raw.reshape(shape).transpose(0, 2, 1, 3), centred.reshape(shape).transpose(0, 2, 1, 3)

    def outputs(self, shape: Sequence[int]) -> int:
        """Number of outputs of a channel, for an input of that shape."""
        if self.op in {"Gemm", "MatMul"}:
            return math.prod(shape[1:] if self.turned else shape[:-1])
        return shape[0] * math.prod(self._window(shape)[0])

    def _window(self, shape: Sequence[int]) -> tuple[list[int], list[int]]:
        """Size of the output and padding at the beginning, for each spatial axis."""
        kernel, spatial = self.weight.shape[2:], shape[2:]
        strides, dilations = self._each(self.strides, 1), self._each(self.dilations, 1)
        extra, pads = self._each(self.output_padding, 0), self.pads or (0,) * (2 * len(kernel))
        sizes, starts = [], []
        for axis, (size, taps) in enumerate(zip(spatial, kernel, strict=True)):
            stride, reach = strides[axis], dilations[axis] * (taps - 1) + 1
            begin, end = pads[axis], pads[axis + len(kernel)]
            if self.auto_pad.startswith("SAME"):
                wanted = size * stride if self.op == "ConvTranspose" else -(-size // stride)
                full = (size - 1) * stride + reach if self.op == "ConvTranspose" else (wanted - 1) * stride + reach
                total = max(0, full - (wanted if self.op == "ConvTranspose" else size))
                begin = total // 2 if self.auto_pad == "SAME_UPPER" else total - total // 2
                end = total - begin
            elif self.auto_pad == "VALID":
                begin = end = 0
            if self.op == "ConvTranspose":
                sizes.append((size - 1) * stride + reach + extra[axis] - begin - end)
            else:
                sizes.append((size + begin + end - reach) // stride + 1)
            starts.append(begin)
        return sizes, starts

    def _reading(self, shape: Sequence[int], places: np.ndarray | None) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """Indices into [batch, spatial axes], and which of them lie inside; both [outputs, places of the kernel]."""
        sizes, starts = self._window(shape)
        strides, dilations = self._each(self.strides, 1), self._each(self.dilations, 1)
        chosen = np.arange(shape[0] * math.prod(sizes)) if places is None else np.asarray(places)
        batch, *spots = np.unravel_index(chosen, (shape[0], *sizes))
        taps = np.indices(self.weight.shape[2:]).reshape(len(sizes), -1)
        inside = np.ones((len(chosen), taps.shape[1]), bool)
        index = [np.broadcast_to(batch[:, None], inside.shape)]
        for axis, spot in enumerate(spots):
            step = taps[axis] * dilations[axis]
            if self.op == "ConvTranspose":
                where, rest = np.divmod(spot[:, None] + starts[axis] - step, strides[axis])
                inside &= rest == 0
            else:
                where = spot[:, None] * strides[axis] - starts[axis] + step
            inside &= (where >= 0) & (where < shape[2 + axis])
            index.append(np.clip(where, 0, shape[2 + axis] - 1))
        return tuple(index), inside

    def _each(self, given: Sequence[int], default: int) -> tuple[int, ...]:
        return tuple(given) or (default,) * (self.weight.ndim - 2)


def pairs(values: np.ndarray, order: str) -> np.ndarray:
    """Neighbours: [..., places, channels] -> [..., pairs, 2]; a zero where a partner is missing."""
    if order == FLATTENED:
        values = values.reshape(*values.shape[:-2], 1, -1)
    if values.shape[-1] % 2:
        values = np.concatenate((values, np.zeros((*values.shape[:-1], 1), values.dtype)), -1)
    return values.reshape(*values.shape[:-2], -1, 2)
