"""What single operations do to values and how they use their weights, in ONNX's words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

NUMBERS_OF_A_BOX = 4
"""Layers read more channels than this, but for the first: what reads fewer computes with coordinates."""
FRACTION = 64
"""People write multiples of a 64th: for corners of boxes, bins of a distribution, bilinear interpolation."""
HAND_WRITTEN = 4096
"""Values that a weight has at most if somebody wrote it down."""
FEW = 3
"""Magnitudes other than 0 that such a weight may have if they are no multiples of a 64th."""
COUNTING_PADS = "AveragePool that counts its padding"
ROUNDING_UP = "AveragePool that rounds its size up"
STACKED = "MatMul by a stack of matrices"
WITHOUT_BIAS = "Gemm or MatMul without a bias"


def channel_axis(op: str, dims: int, transposed: bool) -> int:
    """Axis of the output channels in a weight.

    Args:
        op: Kind of the operation.
        dims: Number of dimensions of the weight.
        transposed: Whether a Gemm transposes it.
    """
    if op in {"Gemm", "MatMul"}:
        return 0 if transposed else dims - 1
    return 1 if op == "ConvTranspose" else 0


def channels_read(op: str, shape: Sequence[int], group: int, transposed: bool) -> int:
    """How many channels of its input an operation reads.

    Args:
        op: Kind of the operation.
        shape: Of its weight.
        group: Of a convolution.
        transposed: Whether a Gemm transposes the weight.
    """
    if op in {"Gemm", "MatMul"}:
        return int(shape[-1] if transposed else shape[-2])
    return int(shape[0]) if op == "ConvTranspose" else int(shape[1]) * group


def written_by_hand(weight: np.ndarray) -> bool:
    """Whether a weight holds numbers that somebody wrote down: round ones, or a few that repeat."""
    flat = weight.reshape(-1)
    if not 0 < flat.size <= HAND_WRITTEN or not np.isfinite(flat).all():
        return False
    steps = flat.astype(np.float64) * FRACTION
    if np.array_equal(steps, np.rint(steps)):
        return True
    sizes = np.unique(np.abs(flat))
    return bool(flat.size > 2 * FEW and np.count_nonzero(sizes) <= FEW)


def makes_values(op: str, attributes: Mapping[str, Any], fill: np.ndarray | None) -> bool:
    """Whether an operation of a kind that moves values makes some that it has not read.

    Args:
        op: Kind of the operation.
        attributes: Its attributes.
        fill: The number that a Pad fills in, if it has one; NaN if that is computed.
    """
    if op == "Pad":
        constant = _text(attributes.get("mode", "constant")) == "constant"
        number = attributes.get("value", 0.0) if fill is None else fill
        return constant and bool(np.any(np.asarray(number) != 0))
    if op == "Resize":
        outside = _text(attributes.get("coordinate_transformation_mode", "")) == "tf_crop_and_resize"
        return outside or _text(attributes.get("mode", "nearest")) == "cubic"
    return False


def interpolates(op: str, attributes: Mapping[str, Any]) -> bool:
    """Whether a Resize computes means of what it reads."""
    return op in {"Resize", "Upsample"} and _text(attributes.get("mode", "nearest")) in {"linear", "bilinear"}


def variants(
    op: str, attributes: Mapping[str, Any], weight: np.ndarray | None = None, bias: np.ndarray | None = None
) -> frozenset[str]:
    """What an operation is beside its kind, for runtimes that treat that differently; see `Profile.float_variants`.

    Args:
        op: Kind of the operation.
        attributes: Its attributes.
        weight: Its weight, if it has one.
        bias: Its bias, if it has one.
    """
    kinds = {op}
    if op == "AveragePool":
        automatic = _text(attributes.get("auto_pad", "NOTSET")) not in {"NOTSET", "VALID"}
        rounds_up = bool(attributes.get("ceil_mode", 0))
        padded = automatic or rounds_up or any(attributes.get("pads", ()))
        kinds |= {COUNTING_PADS} if attributes.get("count_include_pad", 0) and padded else set()
        kinds |= {ROUNDING_UP} if rounds_up else set()
    if op == "MatMul" and weight is not None and weight.ndim > 2:
        kinds.add(STACKED)
    if op in {"Gemm", "MatMul"} and weight is not None and (bias is None or bias.size == 1 or not bias.any()):
        kinds.add(WITHOUT_BIAS)
    return frozenset(kinds)


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Name -> value, without subgraphs."""
    from onnx import helper

    return {
        entry.name: helper.get_attribute_value(entry)
        for entry in node.attribute
        if not entry.HasField("g") and not entry.graphs
    }


def names_read(nodes: Iterable[onnx.NodeProto]) -> Iterator[str]:
    """Names that nodes read, those inside their subgraphs too."""
    for node in nodes:
        yield from node.input
        yield from names_inside(node)


def names_inside(node: onnx.NodeProto) -> Iterator[str]:
    """Names that are read in a node's subgraphs, some of which the subgraphs make themselves."""
    for entry in node.attribute:
        for graph in [entry.g] if entry.HasField("g") else entry.graphs:
            yield from names_read(graph.node)
            yield from (value.name for value in graph.output)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
