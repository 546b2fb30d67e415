"""A view of an ONNX file: parsed once, and looked at through Q/DQ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from qcore_kit.onnxfile.bodies import flattened
from qcore_kit.onnxfile.nodes import constant, label
from qcore_kit.onnxfile.normal import inferred
from qcore_kit.onnxfile.scale import Scale, attribute, moved_axis
from qcore_kit.quantization.graph import MOVING, WEIGHTED, Graph, Node, layout
from qcore_kit.quantization.operations import attributes_of

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
STORED = {"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
"""What exporters put between a stored tensor and the operation that reads it."""
FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}


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
        readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes.values():
            for name in dict.fromkeys(node.input):
                readers.setdefault(name, []).append(node)
        return readers

    def is_constant(self, name: str) -> bool:
        """Whether a tensor is stored in the file, or moved or cast from one that is."""
        if name in self._stored:
            return True
        maker = self.makers.get(name)
        if maker is None:
            return False
        return maker.op_type == "Constant" or (maker.op_type in STORED and all(map(self.is_constant, maker.input)))

    def value(self, name: str) -> np.ndarray | None:
        """The value of a stored tensor; None for one that is computed."""
        if not self.is_constant(name):
            return None
        if name not in self._values:
            maker = self.makers.get(name)
            if name in self._stored:
                self._values[name] = numpy_helper.to_array(self._stored[name])
            elif maker is not None:
                self._values[name] = constant(maker) if maker.op_type == "Constant" else self._moved(maker)
        return self._values[name]

    def _moved(self, node: onnx.NodeProto, value: np.ndarray | None = None) -> np.ndarray:
        given = {name: self.value(name) for name in node.input if name}
        given[node.input[0]] = given[node.input[0]] if value is None else value
        (made,) = ReferenceEvaluator(node, opsets={node.domain: self.opset}).run(None, given)
        return np.asarray(made)

    @cached_property
    def _types(self) -> dict[str, onnx.TypeProto]:
        return inferred(self.proto)

    def dims(self, name: str) -> tuple[int | None, ...] | None:
        """The sizes of a tensor, None for those that are not known; None where not even their number is."""
        if name in self._stored:
            return tuple(self._stored[name].dims)
        if (value := self.value(name)) is not None:
            return value.shape
        kind = self._types.get(name)
        if kind is None or not kind.tensor_type.HasField("shape"):
            return None
        return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in kind.tensor_type.shape.dim)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The sizes of a tensor, where all are known."""
        dims = self.dims(name)
        known = None if dims is None else tuple(size for size in dims if size is not None)
        return known if dims is not None and known is not None and len(known) == len(dims) else None

    def follows_from_constants(self, name: str) -> bool:
        """Whether a tensor is stored, or computed from stored ones only."""
        return self.is_constant(name) or name in self._from_constants

    @cached_property
    def _from_constants(self) -> frozenset[str]:
        names: set[str] = set()
        for node in self.proto.graph.node:
            if node.input and all(self.is_constant(name) or name in names for name in node.input if name):
                names.update(node.output)
        return frozenset(names)

    def operators(self) -> Iterator[tuple[str, onnx.NodeProto]]:
        """Name and node of everything that a runtime has to know: not the model's own functions."""
        own = {(function.domain, function.name) for function in self.proto.functions}
        for name, node in self.nodes.items():
            if (node.domain, node.op_type) not in own:
                yield name, node

    def behind(self, name: str) -> str:
        """The tensor that a node would read if there were no Q/DQ and no casts between floats."""
        while (maker := self.makers.get(name)) is not None and (
            maker.op_type in (QUANTIZE, DEQUANTIZE) or self.is_float_cast(maker)
        ):
            name = maker.input[0]
        return name

    def origin(self, name: str) -> str:
        """The stored tensor that a weight comes from, through Q/DQ and what merely moves or casts it."""
        source = name
        while (maker := self.makers.get(source)) is not None and (
            maker.op_type in (QUANTIZE, DEQUANTIZE) or maker.op_type in STORED
        ):
            source = maker.input[0]
        return source if self.is_constant(source) else self.behind(name)

    def is_float_cast(self, node: onnx.NodeProto) -> bool:
        """Whether a node turns floats into floats of another size."""
        return node.op_type == "Cast" and attribute(node, "to", 0) in FLOATS

    def scale(self, node: onnx.NodeProto) -> Scale:
        """What a Q or DQ node applies."""
        values = self.value(node.input[1])
        given = len(node.input) > 2 and bool(node.input[2])
        points = self.value(node.input[2]) if given else np.zeros(1, self._kind_without_point(node))
        kind = "computed" if points is None else str(points.dtype)
        many = values is not None and values.size > 1
        axis = int(attribute(node, "axis", 1)) if many else None
        if axis is not None and axis < 0 and (dims := self.dims(self.behind(node.input[0]))) is not None:
            axis += len(dims)
        block = int(attribute(node, "block_size", 0)) if many else 0
        return Scale(self.name(node), values, points, kind, axis, block)

    def _kind_without_point(self, node: onnx.NodeProto) -> str:
        """Uint8 unless the node or what it reads says otherwise."""
        if node.op_type == DEQUANTIZE:
            value = self.value(node.input[0])
            if value is not None:
                return str(value.dtype)
            maker = self.makers.get(node.input[0])
            return self._kind_without_point(maker) if maker is not None and maker.op_type == QUANTIZE else "uint8"
        if len(node.input) > 2 and node.input[2]:
            value = self.value(node.input[2])
            return "uint8" if value is None else str(value.dtype)
        declared: int = attribute(node, "output_dtype", 0)
        return str(helper.tensor_dtype_to_np_dtype(declared)) if declared else "uint8"

    def read(self, name: str) -> Scale | None:
        """How the values are quantized that a node reads under this name; None where they are not."""
        while (maker := self.makers.get(name)) is not None and self.is_float_cast(maker):
            name = maker.input[0]
        return self.scale(maker) if maker is not None and maker.op_type == DEQUANTIZE else None

    def _moves(self, name: str) -> tuple[str, list[onnx.NodeProto]]:
        """What is behind the operators that merely move stored values, and these, in order."""
        path: list[onnx.NodeProto] = []
        while (maker := self.makers.get(name)) is not None and maker.op_type in STORED:
            path.insert(0, maker)
            name = maker.input[0]
        return name, path

    def weight(self, node: onnx.NodeProto) -> Scale | None:
        """How the second input of a node is quantized, looked for behind what merely moves stored values."""
        if not self.is_constant(self.origin(node.input[1])):
            return None
        name, path = self._moves(node.input[1])
        maker = self.makers.get(name)
        scale = self.scale(maker) if maker is not None and maker.op_type == DEQUANTIZE else None
        if scale is None or scale.axis is None:
            return scale
        axis, shape = scale.axis, self.shape(self.behind(name))
        for step in path:
            behind = self.shape(step.output[0])
            if step.op_type in ("Cast", "Identity"):
                continue
            if shape is None or behind is None or not 0 <= axis < len(shape):
                return replace(scale, axis=-1)
            axis, shape = moved_axis(step, axis, shape, behind), behind
        return replace(scale, axis=axis)

    def arranged(self, node: onnx.NodeProto, value: np.ndarray) -> np.ndarray:
        """Values that a DQ reads, in the order in which a node reads its second input."""
        for step in self._moves(node.input[1])[1]:
            value = value if step.op_type == "Cast" else self._moved(step, value)
        return value

    def _weight_values(self, node: onnx.NodeProto) -> np.ndarray | None:
        """What is stored of a node's second input, as it reads it; before or behind Q/DQ."""
        stored = self.value(self.behind(self._moves(node.input[1])[0]))
        return None if stored is None else self.arranged(node, stored)

    def moved(self, name: str) -> Scale | None:
        """Like `read`, looked for behind operations that only move values; of branches, where they agree."""
        read = self.read(name)
        maker = self.makers.get(name)
        if read is not None or maker is None:
            return read
        if maker.op_type == "Concat":
            scales = [self.moved(given) for given in maker.input]
            first = scales[0]
            return first if first and all(other and other.equals(first) for other in scales) else None
        return self.moved(maker.input[0]) if maker.op_type in MOVING or self.is_float_cast(maker) else None

    def quantized(self, name: str, through: tuple[str, ...] = ()) -> list[Scale]:
        """The QuantizeLinear nodes that read a tensor, through casts between floats and the operators named."""
        scales = []
        for node in self.readers.get(name, ()):
            if node.op_type == QUANTIZE and node.input[0] == name:
                scales.append(self.scale(node))
            elif self.is_float_cast(node) or node.op_type in through:
                scales += self.quantized(node.output[0], through)
        return scales

    @cached_property
    def activations(self) -> dict[str, Scale]:
        """Name of each QuantizeLinear on values that are computed -> what it applies."""
        return {
            name: self.scale(node)
            for name, node in self.nodes.items()
            if node.op_type == QUANTIZE and not self.is_constant(self.origin(node.input[0]))
        }

    @cached_property
    def pairs(self) -> dict[str, Scale]:
        """Name of each Q and DQ node -> what it applies."""
        return {name: self.scale(node) for name, node in self.nodes.items() if node.op_type in (QUANTIZE, DEQUANTIZE)}

    @cached_property
    def graph(self) -> Graph:
        """The float graph as placement sees it: without Q/DQ, constants and casts between floats."""
        skipped = {QUANTIZE, DEQUANTIZE, "Constant", "Identity"}
        kept = [
            node
            for node in self.nodes.values()
            if node.op_type not in skipped and not self.is_float_cast(node) and not self._is_stored(node)
        ]
        stored = set(self._stored)
        return Graph(
            nodes=tuple(self._node(node) for node in kept),
            inputs=tuple(value.name for value in self.proto.graph.input if value.name not in stored),
            outputs=tuple(self.behind(value.name) for value in self.proto.graph.output),
        )

    def _is_stored(self, node: onnx.NodeProto) -> bool:
        return node.op_type in STORED and bool(node.output) and self.is_constant(self.origin(node.output[0]))

    def _node(self, node: onnx.NodeProto) -> Node:
        def constant(place: int) -> str | None:
            if node.op_type not in WEIGHTED or len(node.input) <= place or not node.input[place]:
                return None
            name = self.origin(node.input[place])
            return name.removesuffix("_quantized").removesuffix("_f16") if self.is_constant(name) else None

        given = [name for name in node.input if name and not self.is_constant(self.origin(name))]
        weight = self._weight_values(node) if constant(1) else None
        more = {} if weight is None or weight.ndim < 2 else layout(node.op_type, weight, attributes_of(node))
        return Node(
            name=self.name(node),
            op=node.op_type,
            inputs=tuple(self._through(self.behind(name)) for name in given),
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
            yield node, stored, self.moved(stored.input[0]), self.weight(stored)


def whole(proto: onnx.ModelProto) -> View:
    """The view of a file as a runtime sees it: with what its functions and the bodies of If and Loop hold."""
    return View(flattened(proto))
