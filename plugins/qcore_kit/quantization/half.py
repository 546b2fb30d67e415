"""Float16 for the body of a network, float32 for its decode.

ONNX Runtime's and onnxconverter's converters were tried: they put a pair of casts between any two operations that stay
in float32, so that a decode of thirty operations is rounded to float16 thirty times.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import helper, numpy_helper

from qcore_kit.quantization.operations import names_inside, names_read

SMALLEST = 2.0**-14
"""Smallest normal number of float16: a scale below it loses digits, or becomes 0."""
SINGLE = {"Resize": {1, 2}}
"""Inputs that are float32 whatever the operation computes in: operation -> places."""
MAKING = {"ConstantOfShape", "RandomNormal", "RandomUniform", "Range"}
"""Operations whose type is an attribute or that of a constant, and which stay as they are."""
FLOAT, FLOAT16 = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


def half(proto: onnx.ModelProto, single: Iterable[str]) -> onnx.ModelProto:
    """A graph that computes in float16, with its inputs and outputs and the operations named in float32.

    Args:
        proto: In float32; operations that stay so must not be followed by others.
        single: Names of the operations that stay in float32.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    return _Half(copy, frozenset(single)).converted()


class _Half:
    def __init__(self, proto: onnx.ModelProto, single: frozenset[str]) -> None:
        _store_constants(proto.graph)
        self.proto, self.single = proto, single
        self.constants = {tensor.name: tensor for tensor in proto.graph.initializer}
        self.floats = self._floats()
        self.made: set[str] = set()
        self.handed: set[str] = set()
        self.casts: dict[tuple[str, int], str] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.halved: dict[str, onnx.TensorProto] = {}

    def converted(self) -> onnx.ModelProto:
        graph = self.proto.graph
        branching = [
            node for node in graph.node if any(entry.HasField("g") or entry.graphs for entry in node.attribute)
        ]
        outputs = {value.name for value in graph.output} | {name for node in branching for name in names_inside(node)}
        for node in graph.node:
            single = (node.name or node.output[0]) in self.single or node.op_type in MAKING or node in branching
            in_half = not single
            for place, name in enumerate(node.input):
                node.input[place] = self._read(node, place, name, in_half)
            _retyped(node, in_half)
            self.nodes.append(node)
            if in_half:
                self.made.update(name for name in node.output if name in self.floats)
                self._hand_out(node, outputs)
        del graph.node[:]
        graph.node.extend(self.nodes)
        read = {*names_read(graph.node), *outputs}
        kept = [tensor for tensor in graph.initializer if tensor.name in read]
        del graph.initializer[:]
        graph.initializer.extend([*kept, *self.halved.values()])
        del graph.value_info[:]
        return self.proto

    def _floats(self) -> set[str]:
        inferred = onnx.shape_inference.infer_shapes(self.proto).graph
        values = [*inferred.input, *inferred.value_info, *inferred.output]
        return {value.name for value in values if value.type.tensor_type.elem_type == FLOAT}

    def _read(self, node: onnx.NodeProto, place: int, name: str, in_half: bool) -> str:
        """What a node reads instead of a tensor, so that the type is its own."""
        if name in self.constants:
            stays = not in_half or place in SINGLE.get(node.op_type, ())
            return name if stays or self.constants[name].data_type != FLOAT else self._halved(name)
        if in_half and name in self.handed:
            return f"{name}_f16"
        if in_half and name in self.floats and name not in self.made:
            return self._cast(name, FLOAT16)
        if not in_half and name in self.made:
            return self._cast(name, FLOAT)
        return name

    def _halved(self, name: str) -> str:
        short = f"{name}_f16"
        if short not in self.halved:
            value = numpy_helper.to_array(self.constants[name])
            limit = float(np.finfo(np.float16).max)
            self.halved[short] = numpy_helper.from_array(np.clip(value, -limit, limit).astype(np.float16), short)
        return short

    def _cast(self, name: str, kind: int) -> str:
        key = name, kind
        if key not in self.casts:
            self.casts[key] = f"{name}_{'f16' if kind == FLOAT16 else 'f32'}"
            self.nodes.append(helper.make_node("Cast", [name], [self.casts[key]], f"{self.casts[key]}_cast", to=kind))
        return self.casts[key]

    def _hand_out(self, node: onnx.NodeProto, outputs: set[str]) -> None:
        """Outputs of the graph stay float32 under their own names."""
        for place, name in enumerate(node.output):
            if name in outputs and name in self.floats:
                node.output[place] = f"{name}_f16"
                self.made.discard(name)
                self.handed.add(name)
                self.nodes.append(helper.make_node("Cast", [f"{name}_f16"], [name], f"{name}_cast", to=FLOAT))


def _store_constants(graph: onnx.GraphProto) -> None:
    """Make initializers of Constant nodes with a tensor, as exporters of other tools write them."""
    kept = []
    for node in graph.node:
        value = next((entry.t for entry in node.attribute if entry.name == "value"), None)
        if node.op_type != "Constant" or value is None:
            kept.append(node)
            continue
        stored = graph.initializer.add()
        stored.CopyFrom(value)
        stored.name = node.output[0]
    del graph.node[:]
    graph.node.extend(kept)


def _retyped(node: onnx.NodeProto, in_half: bool) -> None:
    """Casts to float32 inside the body become casts to float16."""
    if node.op_type == "Cast" and in_half:
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == FLOAT:
                attribute.i = FLOAT16
