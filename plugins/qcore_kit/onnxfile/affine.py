"""BatchNormalization, biases and factors per channel that exporters leave behind convolutions, taken into them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

CONVOLUTIONS = ("Conv", "ConvTranspose")
LINEAR = ("Add", "Sub", "Mul", "Div")


@dataclass(frozen=True)
class Absorbed:
    """A convolution, and an operation behind it that is one factor and one term per output channel.

    Attributes:
        layer: The convolution.
        node: What alone reads its result.
        factor: `[C]` float64.
        term: `[C]` float64, added after the factor.
    """

    layer: onnx.NodeProto
    node: onnx.NodeProto
    factor: np.ndarray
    term: np.ndarray


def absorbed(proto: onnx.ModelProto, reads: Counter[str]) -> Iterator[Absorbed]:
    """What can be taken into convolutions whose weights are stored, in the order of the graph.

    Args:
        proto: Constants are stored.
        reads: How often each tensor is read; the graph's outputs are read once more.
    """
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    layers = {node.output[0]: node for node in proto.graph.node if node.op_type in CONVOLUTIONS}
    for node in proto.graph.node:
        layer = next((layers[name] for name in node.input if name in layers), None)
        if layer is None or reads[layer.output[0]] != 1 or not all(name in stored for name in layer.input[1:] if name):
            continue
        count = _channels(layer, stored[layer.input[1]])
        others = [name for name in node.input if name != layer.output[0]]
        if not count or not others or not all(name in stored for name in others):
            continue
        values = [numpy_helper.to_array(stored[name]).astype(np.float64) for name in others]
        if node.op_type == "BatchNormalization" and node.input[0] == layer.output[0]:
            change = _normalization(node, values)
        elif node.op_type in LINEAR and len(node.input) == 2:
            rank = len(stored[layer.input[1]].dims)
            change = _linear(node, node.input[0] == layer.output[0], values[0], rank, count)
        else:
            change = None
        if change is not None and all(np.isfinite(part).all() for part in change):
            yield Absorbed(layer, node, *change)


def absorb(proto: onnx.ModelProto, reads: Counter[str]) -> bool:
    """Whether something was taken into a convolution; only what each convolution's own result goes into.

    Quantizers round what a layer makes. Between a convolution and its BatchNormalization that is a tensor whose
    channels differ by tens, which the normalization takes apart again, with the rounding. Weights that are used twice
    get a copy; the tensor behind keeps its name.
    """
    changes = list({id(each.layer): each for each in absorbed(proto, reads)}.values())
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    for each in changes:
        layer = each.layer
        name, bias = layer.input[1], (layer.input[2] if len(layer.input) > 2 else "")
        weight = numpy_helper.to_array(stored[name])
        term = numpy_helper.to_array(stored[bias]).astype(np.float64) * each.factor if bias else 0.0
        renewed = {name: weight * _shaped(layer, each.factor, weight), bias or f"{name}_term": term + each.term}
        del layer.input[1:]
        for old, value in renewed.items():
            fresh = old if reads[old] == 1 or old not in stored else _free(old, stored)
            if fresh not in stored:
                stored[fresh] = proto.graph.initializer.add()
            stored[fresh].CopyFrom(numpy_helper.from_array(value.astype(weight.dtype), fresh))
            layer.input.append(fresh)
        layer.output[0] = each.node.output[0]
        proto.graph.node.remove(each.node)
    return bool(changes)


def _channels(layer: onnx.NodeProto, weight: onnx.TensorProto) -> int:
    if layer.op_type == "Conv":
        return int(weight.dims[0])
    return int(weight.dims[1]) * _groups(layer)


def _groups(layer: onnx.NodeProto) -> int:
    return int(next((entry.i for entry in layer.attribute if entry.name == "group"), 1))


def _shaped(layer: onnx.NodeProto, factor: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A factor per output channel in a shape that multiplies the weights."""
    ones = (1,) * (weight.ndim - 2)
    if layer.op_type == "Conv":
        return factor.reshape(-1, 1, *ones)
    groups = _groups(layer)
    return factor.reshape(groups, 1, -1).repeat(weight.shape[0] // groups, 1).reshape(weight.shape[0], -1, *ones)


def _normalization(node: onnx.NodeProto, values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
    attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    if (
        attributes.get("training_mode")
        or not attributes.get("spatial", 1)
        or len([name for name in node.output if name]) != 1
    ):
        return None
    scale, bias, mean, variance = values
    with np.errstate(all="ignore"):
        factor = scale / np.sqrt(variance + attributes.get("epsilon", 1e-5))
        return factor, bias - mean * factor


def _linear(
    node: onnx.NodeProto, first: bool, value: np.ndarray, rank: int, count: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Factor and term of a sum or product with a constant; None where it is not one value for each channel."""
    shape = (1,) * (rank - value.ndim) + value.shape
    if len(shape) != rank or value.size != count or shape[1] != count or (node.op_type == "Div" and not first):
        return None
    value, ones = value.ravel(), np.ones(count)
    if node.op_type in ("Add", "Sub"):
        added = -value if node.op_type == "Sub" and first else value
        return (ones if first or node.op_type == "Add" else -ones), added
    with np.errstate(all="ignore"):
        return (1 / value if node.op_type == "Div" else value), np.zeros(count)


def _free(name: str, taken: dict[str, onnx.TensorProto]) -> str:
    """A name that no constant has yet."""
    count = 2
    while f"{name}_{count}" in taken:
        count += 1
    return f"{name}_{count}"
