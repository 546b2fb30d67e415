"""The neutral view of a float graph that placement works on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from qcore_kit.quantization.operations import (
    NUMBERS_OF_A_BOX,
    attributes_of,
    channel_axis,
    channels_read,
    interpolates,
    makes_values,
    names_read,
    variants,
    written_by_hand,
)

if TYPE_CHECKING:
    import onnx

WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
"""Operations with learned weights, in ONNX's words, which are this view's words for every framework."""
AVERAGING = {"AveragePool", "GlobalAveragePool"}
"""Operations that compute, but within the range of what they read."""
MOVING = {
    "Concat", "DepthToSpace", "Flatten", "GlobalMaxPool", "MaxPool", "Pad", "ReduceMax", "ReduceMin", "Reshape",
    "Resize", "Slice", "SpaceToDepth", "Split", "Squeeze", "Transpose", "Unsqueeze",
}  # fmt: skip
"""Operations that move values or choose among them: what comes out lies in the range of what went in."""
_FLOATS = {1, 10}
"""ONNX's numbers for float32 and float16."""
COUNTING = {"ArgMax", "ArgMin", "NonMaxSuppression", "NonZero", "Shape", "Size"}
"""Operations that make sizes and places of the values they read: what follows from those is no activation."""


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        name: Unique in the graph.
        op: Kind, in ONNX's words.
        inputs: Tensors that are computed; constants are left out.
        outputs: Tensors it makes.
        weight: Its constant second input, where the kind has learned weights.
        bias: Its constant third input.
        axis: Of the output channels in the weight.
        by_hand: Whether the weight looks like arithmetic, and not like a learned one.
        makes_values: Whether it makes values that it has not read, although others of its kind only move them.
        interpolates: Whether it makes means of what it reads, although others of its kind only move values.
        variants: Its kind and what it is beside that; see `operations.variants`.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weight: str | None = None
    bias: str | None = None
    axis: int = 0
    by_hand: bool = False
    makes_values: bool = False
    interpolates: bool = False
    variants: frozenset[str] = frozenset()

    @property
    def layer(self) -> str:
        """What a person calls it: the module that holds its weight, or else its own name."""
        return self.weight.removesuffix(".weight") if self.weight else self.name

    @property
    def moves(self) -> bool:
        """Whether it only moves values or chooses among them."""
        return self.op in MOVING and not self.makes_values and not self.interpolates

    @property
    def averages(self) -> bool:
        """Whether it makes values of its own that lie in the range of what it reads."""
        return self.op in AVERAGING or self.interpolates


@dataclass(frozen=True)
class Graph:
    """Operations in topological order.

    Attributes:
        nodes: The operations.
        inputs: Tensors given from outside.
        outputs: Tensors handed out.
        floats: Tensors of a floating-point type that hold activations: sizes and indices, and what is computed from
            those alone, are left out.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    floats: frozenset[str] = field(default=frozenset(), repr=False)

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        """Tensor -> the operation that makes it."""
        return {name: node for node in self.nodes for name in node.outputs}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Node, ...]]:
        """Tensor -> the operations that read it."""
        consumers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                consumers.setdefault(name, []).append(node)
        return {name: tuple(nodes) for name, nodes in consumers.items()}

    def read(self, node: Node) -> tuple[str, ...]:
        """The activations that a node reads."""
        return tuple(name for name in node.inputs if name in self.floats)

    def made(self, node: Node) -> tuple[str, ...]:
        """The activations that a node makes."""
        return tuple(name for name in node.outputs if name in self.floats)

    def after(self, node: Node) -> Iterable[Node]:
        """The operations that read what a node makes."""
        return (reader for name in node.outputs for reader in self.consumers.get(name, ()))

    @cached_property
    def arithmetic(self) -> frozenset[str]:
        """Names of the weighted operations that compute with numbers somebody wrote down, behind learned layers.

        Such as corners of boxes from their centres, and the expectation over distance bins (Generalized Focal Loss,
        arXiv:2006.04388, equation 6): a convolution by 0, 1, 2, ... of what a Softmax has made.
        """
        names: set[str] = set()
        learned: set[str] = set()
        softened: set[str] = set()
        for node in self.nodes:
            is_weighted = node.op in WEIGHTED and node.weight is not None
            behind = any(name in learned for name in node.inputs)
            soft = node.inputs and all(name in softened for name in node.inputs)
            if is_weighted and behind and (node.by_hand or soft):
                names.add(node.name)
            if behind or (is_weighted and node.name not in names):
                learned.update(node.outputs)
            if node.op == "Softmax" or (node.op in MOVING and soft):
                softened.update(node.outputs)
        return frozenset(names)

    @cached_property
    def tail(self) -> frozenset[str]:
        """Names of the nodes behind the last learned operations: the decode, which stays float."""
        learned = {node.name for node in self.nodes if node.op in WEIGHTED and node.weight} - self.arithmetic
        ahead: set[str] = set()
        for node in reversed(self.nodes):
            if any(reader.name in learned or reader.name in ahead for reader in self.after(node)):
                ahead.add(node.name)
        return frozenset(node.name for node in self.nodes if node.name not in ahead | learned)

    @cached_property
    def last(self) -> frozenset[str]:
        """Names of the last weighted operations: only the decode reads what they make."""
        return frozenset(
            node.name for node in self.weighted if all(reader.name in self.tail for reader in self.after(node))
        )

    @cached_property
    def first(self) -> frozenset[str]:
        """Names of the first weighted operations: what they read comes from the inputs without another on the way."""
        behind: set[str] = set()
        for node in self.nodes:
            if (node.op in WEIGHTED and node.weight) or any(
                self.producers[name].name in behind for name in node.inputs if name in self.producers
            ):
                behind.add(node.name)
        return frozenset(
            node.name
            for node in self.weighted
            if not any(self.producers[name].name in behind for name in node.inputs if name in self.producers)
        )

    @cached_property
    def weighted(self) -> tuple[Node, ...]:
        """The operations that can be quantized: weighted ones that are not part of the decode."""
        return tuple(node for node in self.nodes if node.op in WEIGHTED and node.weight and node.name not in self.tail)

    def gated(self) -> frozenset[str]:
        """Tensors that only a SiLU reads."""
        gated = set()
        for product, gate in self.silus.items():
            readers = {node.name for node in self.consumers[gate.inputs[0]]}
            if readers == {gate.name, self.producers[product].name}:
                gated.add(gate.inputs[0])
        return frozenset(gated)

    @cached_property
    def silus(self) -> Mapping[str, Node]:
        """Output of each x * sigmoid(x) -> its Sigmoid."""
        silus = {}
        for node in self.nodes:
            if node.op != "Mul" or len(node.inputs) != 2:
                continue
            for plain, gate in (node.inputs, node.inputs[::-1]):
                maker = self.producers.get(gate)
                if maker and maker.op == "Sigmoid" and maker.inputs == (plain,):
                    silus[node.outputs[0]] = maker
        return silus


def from_onnx(proto: onnx.ModelProto) -> Graph:
    """The view of an ONNX graph; what its subgraphs read counts as read by the node that has them."""
    import onnx

    inferred = onnx.shape_inference.infer_shapes(proto).graph
    stored = {tensor.name: tensor for tensor in inferred.initializer}
    constants = {*stored, *(node.output[0] for node in inferred.node if node.op_type == "Constant")}
    values = [*inferred.input, *inferred.value_info, *inferred.output]
    inputs = tuple(value.name for value in inferred.input if value.name not in constants)
    computed = {*inputs, *(name for node in inferred.node for name in node.output if name)} - constants
    nodes = tuple(_node(node, stored, computed) for node in inferred.node if node.op_type != "Constant")
    activations = _activations(nodes, inputs)
    floats = {value.name for value in values if value.type.tensor_type.elem_type in _FLOATS} & activations
    return Graph(
        nodes=tuple(_joining_others(node, floats) for node in nodes),
        inputs=inputs,
        outputs=tuple(value.name for value in inferred.output),
        floats=frozenset(floats),
    )


def _joining_others(node: Node, floats: set[str]) -> Node:
    """A Concat of activations with other values, such as a grid of coordinates, does not only move activations."""
    return replace(node, makes_values=True) if node.op == "Concat" and not set(node.inputs) <= floats else node


def _activations(nodes: Sequence[Node], inputs: Sequence[str]) -> set[str]:
    """Tensors that follow from the inputs' values, not from their sizes alone."""
    activations = set(inputs)
    for node in nodes:
        if node.op not in COUNTING and any(name in activations for name in node.inputs):
            activations.update(node.outputs[:1] if node.op == "TopK" else node.outputs)
    return activations


def _node(node: onnx.NodeProto, stored: Mapping[str, onnx.TensorProto], computed: set[str]) -> Node:
    from onnx import numpy_helper

    attributes = attributes_of(node)
    read = tuple(name for name in names_read([node]) if name in computed)
    fill = None
    if node.op_type == "Pad" and len(node.input) > 2 and node.input[2]:
        fill = numpy_helper.to_array(stored[node.input[2]]) if node.input[2] in stored else np.array(np.nan)
    return Node(
        name=node.name or node.output[0],
        op=node.op_type,
        inputs=read,
        outputs=tuple(name for name in node.output if name),
        makes_values=makes_values(node.op_type, attributes, fill)
        or (node.op_type == "Concat" and len(read) < len(node.input)),
        interpolates=interpolates(node.op_type, attributes),
        **_weight(node, stored, attributes),
    )


def _weight(node: onnx.NodeProto, stored: Mapping[str, onnx.TensorProto], said: Mapping[str, Any]) -> dict[str, Any]:
    """What a node has whose kind has weights, if its second input is one."""
    from onnx import numpy_helper

    given = [stored.get(name) for name in node.input]
    weight = given[1] if node.op_type in WEIGHTED and len(given) > 1 and given[0] is None else None
    if weight is None or len(weight.dims) < 2 or weight.data_type not in _FLOATS:
        return {"variants": variants(node.op_type, said)}
    bias = given[2] if len(given) > 2 else None
    values = None if bias is None else numpy_helper.to_array(bias)
    uses = layout(node.op_type, numpy_helper.to_array(weight), said, values)
    return {"weight": weight.name, "bias": None if bias is None else bias.name, **uses}


def layout(
    op: str, weight: np.ndarray, attributes: Mapping[str, Any], bias: np.ndarray | None = None
) -> dict[str, Any]:
    """The fields of a `Node` that say how it uses its weight.

    Args:
        op: Kind of the operation.
        weight: Its values; integers of a quantized one.
        attributes: Of the operation.
        bias: Its bias, if it has one.
    """
    transposed = op == "Gemm" and bool(attributes.get("transB", 0))
    reads = channels_read(op, weight.shape, int(attributes.get("group", 1)), transposed)
    learned = weight.dtype.kind != "f" or not written_by_hand(weight)
    return {
        "axis": channel_axis(op, weight.ndim, transposed),
        "variants": variants(op, attributes, weight, bias),
        "by_hand": reads <= NUMBERS_OF_A_BOX or not learned,
    }
