"""A view of an ONNX file: parsed once, and looked at through Q/DQ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx
from onnx import helper, numpy_helper

from qcore_plugins.quantization.graph import MOVING, WEIGHTED, Graph, Node, layout
from qcore_plugins.quantization.operations import attributes_of

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}


@dataclass(frozen=True)
class Scale:
    """What a QuantizeLinear or a DequantizeLinear applies.

    Attributes:
        node: Its name.
        values: Scales; None where the graph computes them.
        points: Zero points, 0 where none is given; None where the graph computes them.
        kind: NumPy name of the integer type.
        axis: Of the channels; None where one scale serves the whole tensor.
    """

    node: str
    values: np.ndarray | None
    points: np.ndarray | None
    kind: str
    axis: int | None

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
    def span(self) -> tuple[float, float]:
        """Smallest and largest value that it can express, per tensor."""
        assert self.values is not None  # noqa: S101 - callers ask where scales are stored
        assert self.points is not None  # noqa: S101
        limits, scale, point = np.iinfo(self.kind), float(self.values.max()), int(self.points.flat[0])
        return (limits.min - point) * scale, (limits.max - point) * scale

    def __str__(self) -> str:
        if self.values is None or self.points is None:
            return f"{self.kind}, computed"
        if self.values.size > 1:
            return f"{self.kind}, {self.values.size} scales on axis {self.axis}"
        return f"{self.kind}, scale {float(self.values.flat[0]):.4g}, zero point {int(self.points.flat[0])}"


class View:
    """Nodes, constants, who makes and who reads a tensor, and the float graph that Q/DQ was put into."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.proto = proto
        self.nodes = {label(node): node for node in proto.graph.node}
        if len(self.nodes) < len(proto.graph.node):
            self.nodes = {node.output[0]: node for node in proto.graph.node if node.output}
        self.names = {id(node): name for name, node in self.nodes.items()}
        self.makers = {made: node for node in self.nodes.values() for made in node.output if made}
        self._stored = {tensor.name: tensor for tensor in proto.graph.initializer}
        self._values: dict[str, np.ndarray] = {}

    @property
    def opset(self) -> int:
        """Version of the standard operators."""
        return max((entry.version for entry in self.proto.opset_import if entry.domain in ("", "ai.onnx")), default=1)

    def name(self, node: onnx.NodeProto) -> str:
        """Unique name of a node."""
        return self.names[id(node)]

    @cached_property
    def readers(self) -> dict[str, list[onnx.NodeProto]]:
        """Tensor -> the nodes that read it."""
        found: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes.values():
            for name in dict.fromkeys(node.input):
                found.setdefault(name, []).append(node)
        return found

    def is_constant(self, name: str) -> bool:
        """Whether a tensor is stored in the file."""
        if name in self._stored:
            return True
        maker = self.makers.get(name)
        return maker is not None and (
            maker.op_type == "Constant" or (maker.op_type == "Identity" and self.is_constant(maker.input[0]))
        )

    def value(self, name: str) -> np.ndarray | None:
        """The value of a stored tensor; None for one that is computed."""
        if not self.is_constant(name):
            return None
        if name not in self._values:
            maker = self.makers.get(name)
            if name in self._stored:
                self._values[name] = numpy_helper.to_array(self._stored[name])
            elif maker is not None and maker.op_type == "Identity":
                found = self.value(maker.input[0])
                assert found is not None  # noqa: S101 - is_constant has looked
                self._values[name] = found
            elif maker is not None:
                self._values[name] = _constant(maker)
        return self._values[name]

    def follows_from_constants(self, name: str) -> bool:
        """Whether a tensor is stored, or computed from stored ones only."""
        return self.is_constant(name) or name in self._from_constants

    @cached_property
    def _from_constants(self) -> frozenset[str]:
        found: set[str] = set()
        for node in self.proto.graph.node:
            if node.input and all(self.is_constant(name) or name in found for name in node.input if name):
                found.update(node.output)
        return frozenset(found)

    def operators(self) -> Iterator[tuple[str, onnx.NodeProto]]:
        """Name and node of everything that a runtime has to know: subgraphs too, but not the model's own functions."""
        own = {(function.domain, function.name) for function in self.proto.functions}
        graphs = [self.proto.graph, *self.proto.functions]
        while graphs:
            for node in graphs.pop().node:
                if (node.domain, node.op_type) not in own:
                    yield label(node), node
                for entry in node.attribute:
                    graphs += [entry.g] if entry.HasField("g") else list(entry.graphs)

    def behind(self, name: str) -> str:
        """The tensor that a node would read if there were no Q/DQ and no casts between floats."""
        while (maker := self.makers.get(name)) is not None and (
            maker.op_type in (QUANTIZE, DEQUANTIZE) or self._is_float_cast(maker)
        ):
            name = maker.input[0]
        return name

    def _is_float_cast(self, node: onnx.NodeProto) -> bool:
        return node.op_type == "Cast" and attribute(node, "to", 0) in FLOATS

    def scale(self, node: onnx.NodeProto) -> Scale:
        """What a Q or DQ node applies."""
        values = self.value(node.input[1])
        given = len(node.input) > 2 and bool(node.input[2])
        points = self.value(node.input[2]) if given else np.zeros(1, self._kind_without_point(node))
        kind = "computed" if points is None else str(points.dtype)
        many = values is not None and values.size > 1
        axis = int(attribute(node, "axis", 1)) if many else None
        if axis is not None and axis < 0 and (stored := self.value(self.behind(node.input[0]))) is not None:
            axis += stored.ndim
        return Scale(self.name(node), values, points, kind, axis)

    def _kind_without_point(self, node: onnx.NodeProto) -> str:
        """Uint8 unless the node or what it reads says otherwise."""
        if node.op_type == DEQUANTIZE:
            found = self.value(node.input[0])
            if found is not None:
                return str(found.dtype)
            maker = self.makers.get(node.input[0])
            return self._kind_without_point(maker) if maker is not None and maker.op_type == QUANTIZE else "uint8"
        if len(node.input) > 2 and node.input[2]:
            found = self.value(node.input[2])
            return "uint8" if found is None else str(found.dtype)
        said = int(attribute(node, "output_dtype", 0))
        return str(helper.tensor_dtype_to_np_dtype(said)) if said else "uint8"

    def read(self, name: str) -> Scale | None:
        """How the values are quantized that a node reads under this name; None where they are not."""
        while (maker := self.makers.get(name)) is not None and self._is_float_cast(maker):
            name = maker.input[0]
        return self.scale(maker) if maker is not None and maker.op_type == DEQUANTIZE else None

    def moved(self, name: str) -> Scale | None:
        """Like `read`, looked for behind operations that only move values; of branches, where they agree."""
        found = self.read(name)
        maker = self.makers.get(name)
        if found is not None or maker is None:
            return found
        if maker.op_type == "Concat":
            scales = [self.moved(given) for given in maker.input]
            first = scales[0]
            return first if first and all(other and other.equals(first) for other in scales) else None
        return self.moved(maker.input[0]) if maker.op_type in MOVING or self._is_float_cast(maker) else None

    def quantized(self, name: str, through: tuple[str, ...] = ()) -> list[Scale]:
        """The QuantizeLinear nodes that read a tensor, through casts between floats and the operators named."""
        found = []
        for node in self.readers.get(name, ()):
            if node.op_type == QUANTIZE and node.input[0] == name:
                found.append(self.scale(node))
            elif self._is_float_cast(node) or node.op_type in through:
                found += self.quantized(node.output[0], through)
        return found

    @cached_property
    def activations(self) -> dict[str, Scale]:
        """Name of each QuantizeLinear on values that are computed -> what it applies."""
        return {
            name: self.scale(node)
            for name, node in self.nodes.items()
            if node.op_type == QUANTIZE and not self.is_constant(self.behind(node.input[0]))
        }

    @cached_property
    def pairs(self) -> dict[str, Scale]:
        """Name of each Q and DQ node -> what it applies."""
        return {name: self.scale(node) for name, node in self.nodes.items() if node.op_type in (QUANTIZE, DEQUANTIZE)}

    @cached_property
    def graph(self) -> Graph:
        """The float graph as placement sees it: without Q/DQ, constants and casts between floats."""
        skipped = {QUANTIZE, DEQUANTIZE, "Constant", "Identity"}
        kept = [node for node in self.nodes.values() if node.op_type not in skipped and not self._is_float_cast(node)]
        stored = set(self._stored)
        return Graph(
            nodes=tuple(self._node(node) for node in kept),
            inputs=tuple(value.name for value in self.proto.graph.input if value.name not in stored),
            outputs=tuple(self.behind(value.name) for value in self.proto.graph.output),
        )

    def _node(self, node: onnx.NodeProto) -> Node:
        def constant(place: int) -> str | None:
            if node.op_type not in WEIGHTED or len(node.input) <= place or not node.input[place]:
                return None
            name = self.behind(node.input[place])
            return name.removesuffix("_quantized").removesuffix("_f16") if self.is_constant(name) else None

        read = [self._through(self.behind(name)) for name in node.input if name]
        weight = self.value(self.behind(node.input[1])) if constant(1) else None
        more = {} if weight is None or weight.ndim < 2 else layout(node.op_type, weight, attributes_of(node))
        return Node(
            name=self.name(node),
            op=node.op_type,
            inputs=tuple(name for name in read if not self.is_constant(name)),
            outputs=tuple(name for name in node.output if name),
            weight=constant(1),
            bias=constant(2),
            **more,
        )

    def _through(self, name: str) -> str:
        """Looks through Identity."""
        while (maker := self.makers.get(name)) is not None and maker.op_type == "Identity":
            name = self.behind(maker.input[0])
        return name

    @property
    def is_quantized(self) -> bool:
        """Whether there is any Q/DQ."""
        return bool(self.pairs)

    def weighted(self) -> Iterator[tuple[Node, onnx.NodeProto, Scale | None, Scale | None]]:
        """Each weighted operation before the decode: as placement sees it, its node, scales of input and weight."""
        for node in self.graph.weighted:
            stored = self.nodes[node.name]
            yield node, stored, self.moved(stored.input[0]), self.read(stored.input[1])


def label(node: onnx.NodeProto) -> str:
    """What to call a node."""
    return str(node.name or (node.output[0] if node.output else node.op_type))


def attribute(node: onnx.NodeProto, name: str, default: object) -> object:
    """An attribute's value."""
    for entry in node.attribute:
        if entry.name == name:
            return helper.get_attribute_value(entry)
    return default


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal values; one value is equal to itself in any shape."""
    if one.size == other.size == 1:
        one, other = one.reshape(()), other.reshape(())
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _constant(node: onnx.NodeProto) -> np.ndarray:
    for entry in node.attribute:
        if entry.name == "value":
            return numpy_helper.to_array(entry.t)
        if entry.name.startswith("value_"):
            return np.array(helper.get_attribute_value(entry))
    return np.zeros(0)
