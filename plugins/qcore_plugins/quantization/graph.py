"""The neutral view of a float graph that placement works on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
"""Operations with learned weights, in ONNX's words, which are this view's words for every framework."""
AVERAGING = {"AveragePool", "GlobalAveragePool"}
"""Operations that compute, but within the range of what they read."""
MOVING = {
    "Concat", "Flatten", "MaxPool", "Pad", "Reshape", "Resize", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
}  # fmt: skip
"""Operations that move values or choose among them: what comes out lies in the range of what went in."""


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
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weight: str | None = None
    bias: str | None = None

    @property
    def layer(self) -> str:
        """What a person calls it: the module that holds its weight, or else its own name."""
        return self.weight.removesuffix(".weight") if self.weight else self.name


@dataclass(frozen=True)
class Graph:
    """Operations in topological order.

    Attributes:
        nodes: The operations.
        inputs: Tensors given from outside.
        outputs: Tensors handed out.
        floats: Tensors of a floating-point type.
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
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                found.setdefault(name, []).append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    def after(self, node: Node) -> Iterable[Node]:
        """The operations that read what a node makes."""
        return (reader for name in node.outputs for reader in self.consumers.get(name, ()))

    @cached_property
    def tail(self) -> frozenset[str]:
        """Names of the nodes behind the last weighted operations: the decode, which stays float.

        A weighted operation that only sees what has passed a Softmax is part of the decode: it takes the expectation
        over distance bins (Generalized Focal Loss, arXiv:2006.04388, equation 6) and its weights are 0, 1, 2, ...
        """
        softened: set[str] = set()
        for node in self.nodes:
            makers = [self.producers[name].name for name in node.inputs if name in self.producers]
            if node.op == "Softmax" or any(name in softened for name in makers):
                softened.add(node.name)
        learned = {node.name for node in self.nodes if node.op in WEIGHTED and node.weight} - softened
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
    def weighted(self) -> tuple[Node, ...]:
        """The operations that can be quantized: weighted ones that are not part of the decode."""
        return tuple(node for node in self.nodes if node.op in WEIGHTED and node.weight and node.name not in self.tail)

    def gated(self) -> frozenset[str]:
        """Tensors that only a SiLU reads."""
        found = set()
        for product, gate in self.silus.items():
            readers = {node.name for node in self.consumers[gate.inputs[0]]}
            if readers == {gate.name, self.producers[product].name}:
                found.add(gate.inputs[0])
        return frozenset(found)

    @cached_property
    def silus(self) -> Mapping[str, Node]:
        """Output of each x * sigmoid(x) -> its Sigmoid."""
        found = {}
        for node in self.nodes:
            if node.op != "Mul" or len(node.inputs) != 2:
                continue
            for plain, gate in (node.inputs, node.inputs[::-1]):
                maker = self.producers.get(gate)
                if maker and maker.op == "Sigmoid" and maker.inputs == (plain,):
                    found[node.outputs[0]] = maker
        return found


def from_onnx(proto: onnx.ModelProto) -> Graph:
    """The view of an ONNX graph without subgraphs."""
    import onnx

    inferred = onnx.shape_inference.infer_shapes(proto).graph
    constants = {tensor.name for tensor in inferred.initializer}
    constants |= {node.output[0] for node in inferred.node if node.op_type == "Constant"}
    kinds = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16}
    values = [*inferred.input, *inferred.value_info, *inferred.output]
    return Graph(
        nodes=tuple(_node(node, constants) for node in inferred.node if node.op_type != "Constant"),
        inputs=tuple(value.name for value in inferred.input if value.name not in constants),
        outputs=tuple(value.name for value in inferred.output),
        floats=frozenset(value.name for value in values if value.type.tensor_type.elem_type in kinds),
    )


def _node(node: onnx.NodeProto, constants: set[str]) -> Node:
    def constant(place: int) -> str | None:
        there = node.op_type in WEIGHTED and len(node.input) > place and node.input[place] in constants
        return node.input[place] if there else None

    return Node(
        name=node.name or node.output[0],
        op=node.op_type,
        inputs=tuple(name for name in node.input if name and name not in constants),
        outputs=tuple(name for name in node.output if name),
        weight=constant(1),
        bias=constant(2),
    )
