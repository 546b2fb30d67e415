"""What a QuantizeLinear or a DequantizeLinear applies, and which channels its scales are of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from qcore_kit.quantization.operations import channel_axis

CHANNELS = 13
"""The opset from which on a Q has an axis, and scales for each channel."""
BYTES = ("int8", "uint8")
"""The integer types of every runtime's kernels."""


@dataclass(frozen=True)
class Scale:
    """What a QuantizeLinear or a DequantizeLinear applies.

    Attributes:
        node: Its name.
        values: Scales; None where the graph computes them.
        points: Zero points, 0 where none is given; None where the graph computes them.
        kind: NumPy name of the integer type.
        axis: Of the channels, or of the blocks; None where one scale serves the whole tensor. For weights it is an axis
            of what the operation reads, whatever stands in between; -1 where none of its axes has these channels.
        block: Values that share a scale along the axis; 0 where all do.
    """

    node: str
    values: np.ndarray | None
    points: np.ndarray | None
    kind: str
    axis: int | None
    block: int = 0

    def equals(self, other: Scale) -> bool:
        """Whether both do the same."""
        if self.values is None or other.values is None or self.points is None or other.points is None:
            return self.node == other.node
        return (
            self.kind == other.kind
            and self.axis == other.axis
            and _same(self.values, other.values)
            and _same(self.points, other.points)
        )

    @property
    def limits(self) -> tuple[int, int] | None:
        """Smallest and largest integer of the type; None for types that are no integers."""
        integer = re.fullmatch(r"(u?)int(\d+)", self.kind)
        if integer is None:
            return None
        bits = int(integer[2])
        return (0, 2**bits - 1) if integer[1] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

    @property
    def point(self) -> int | None:
        """The first zero point; None where it is computed."""
        return None if self.points is None else int(self.points.flat[0])

    @property
    def span(self) -> tuple[float, float]:
        """Smallest and largest value that it can express, per tensor."""
        assert self.values is not None  # noqa: S101 - callers ask where scales are stored
        assert self.points is not None  # noqa: S101
        assert self.limits is not None  # noqa: S101
        low, high = self.limits
        scale, point = float(self.values.max()), int(self.points.flat[0])
        return (low - point) * scale, (high - point) * scale

    def __str__(self) -> str:
        if self.values is None or self.points is None:
            return f"{self.kind}, computed"
        if self.block:
            return f"{self.kind}, blocks of {self.block} on axis {self.axis}"
        if self.values.size > 1:
            where = f" on axis {self.axis}" if self.axis != -1 else " that are not channels of the result"
            return f"{self.kind}, {self.values.size} scales{where}"
        return f"{self.kind}, scale {float(self.values.flat[0]):.4g}, zero point {int(self.points.flat[0])}"


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """An attribute's value."""
    for entry in node.attribute:
        if entry.name == name:
            return helper.get_attribute_value(entry)
    return default


def output_axis(node: onnx.NodeProto, rank: int) -> int:
    """Axis of the output channels in the weight of a Conv, ConvTranspose, Gemm or MatMul, of so many dimensions."""
    return channel_axis(node.op_type, rank, bool(node.op_type == "Gemm" and attribute(node, "transB", 0)))


def moved_axis(node: onnx.NodeProto, axis: int, before: Sequence[int], behind: Sequence[int]) -> int:
    """Where an axis lies behind a Transpose, Reshape or their like; -1 where it is no axis of its own any more.

    Args:
        node: What moves the values.
        axis: Of the tensor before it.
        before: Shape before it.
        behind: Shape behind it.
    """
    if node.op_type == "Transpose":
        order: Sequence[int] = attribute(node, "perm", None) or range(len(before))[::-1]
        return list(order).index(axis)
    ahead = int(np.prod(before[:axis]))
    for place, size in enumerate(behind):
        if int(np.prod(behind[:place])) == ahead and size == before[axis]:
            return place
    return -1


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal values; one value is equal to itself in any shape."""
    if one.size == other.size == 1:
        one, other = one.reshape(()), other.reshape(())
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
