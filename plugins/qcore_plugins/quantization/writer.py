"""The writer: a scale table put into its float graph as Q/DQ, under a profile. The only place where Q/DQ is made."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from qcore_plugins.quantization.graph import from_onnx
from qcore_plugins.quantization.half import SMALLEST, half
from qcore_plugins.quantization.placement import Placement, place
from qcore_plugins.quantization.profiles import Profile
from qcore_plugins.quantization.table import Range, ScaleTable, WeightScale

DTYPES = {"u8": np.uint8, "s8": np.int8}


def write(table: ScaleTable, profile: Profile) -> onnx.ModelProto:
    """The graph with Q/DQ on the tensors that the profile asks for.

    Weights are stored as int8 behind one DequantizeLinear, with a scale for each output channel.

    Args:
        table: Ranges for every tensor the profile quantizes; `ScaleTable.make` has checked them.
        profile: Of the runtime.
    """
    graph = from_onnx(table.graph)
    made = _Writer(table, profile, place(graph, profile, table.excluded)).written()
    return half(made, graph.tail) if profile.half else made


class _Writer:
    def __init__(self, table: ScaleTable, profile: Profile, placement: Placement) -> None:
        self.table, self.profile, self.placement = table, profile, placement
        self.proto = onnx.ModelProto()
        self.proto.CopyFrom(table.graph)
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in self.proto.graph.initializer}
        self.added: dict[str, np.ndarray] = {}
        self.scales: dict[str, float] = {}

    def written(self) -> onnx.ModelProto:
        graph = self.proto.graph
        joined = self.table.joined(self.placement)
        pairs = {name: self._pair(name, joined[group]) for name, group in self.placement.tensors.items()}
        renamed = {name: pair[1].output[0] for name, pair in pairs.items()}
        weights = {node.name: node for node in self.placement.weighted}
        nodes: list[onnx.NodeProto] = [node for value in graph.input for node in pairs.get(value.name, ())]
        for node in graph.node:
            planned = weights.get(node.name or node.output[0])
            source = node.input[0] if node.input else ""
            for place_, name in enumerate(node.input):
                node.input[place_] = renamed.get(name, name)
            if planned is not None:
                nodes += self._weights(node, source)
            nodes.append(node)
            nodes += [made for name in node.output for made in pairs.get(name, ())]
        del graph.node[:]
        graph.node.extend(nodes)
        self._store()
        return self.proto

    def _pair(self, name: str, found: Range) -> tuple[onnx.NodeProto, onnx.NodeProto]:
        scale, point = found.quantization(self.profile.activation, self.profile.symmetric)
        if self.profile.half:
            scale = float(np.float16(max(scale, SMALLEST)))
        self.scales[name] = float(np.float32(scale))
        self.added[f"{name}_scale"] = np.array(scale, np.float32)
        self.added[f"{name}_zero_point"] = np.array(point, DTYPES[self.profile.activation])
        said = [f"{name}_scale", f"{name}_zero_point"]
        return (
            helper.make_node("QuantizeLinear", [name, *said], [f"{name}_quantized"], f"{name}_quantize"),
            helper.make_node(
                "DequantizeLinear", [f"{name}_quantized", *said], [f"{name}_dequantized"], f"{name}_dequantize"
            ),
        )

    def _weights(self, node: onnx.NodeProto, source: str) -> list[onnx.NodeProto]:
        """Int8 weights, and int32 bias where the profile has one, each behind a DequantizeLinear."""
        name = node.input[1]
        known = self.table.weights[name]
        if self.profile.half:
            known = WeightScale(known.axis, np.maximum(known.scale, SMALLEST).astype(np.float16).astype(np.float32))
        integer = self.profile.integer_bias and len(node.input) > 2 and node.input[2] in self.constants
        if integer:
            known = roomy(known, self.constants[name], self.constants[node.input[2]], self.scales[source])
        self.added[f"{name}_quantized"] = quantized(self.constants[name], known.scale, known.axis)
        self.added[f"{name}_scale"] = known.scale.astype(np.float32)
        self.added[f"{name}_zero_point"] = np.zeros(known.scale.shape, np.int8)
        made = [self._dequantize(name, known.axis)]
        node.input[1] = f"{name}_dequantized"
        if integer:
            bias = f"{node.input[2]}_{node.output[0]}"  # a bias may serve several nodes, its scale cannot
            unit = (self.scales[source] * known.scale.astype(np.float64)).astype(np.float32)
            steps = np.rint(self.constants[node.input[2]] / unit.astype(np.float64))
            self.added[f"{bias}_quantized"] = np.clip(steps, -(2**31), 2**31 - 1).astype(np.int32)
            self.added[f"{bias}_scale"] = unit
            self.added[f"{bias}_zero_point"] = np.zeros(unit.shape, np.int32)
            made.append(self._dequantize(bias, 0))
            node.input[2] = f"{bias}_dequantized"
        return made

    def _dequantize(self, name: str, axis: int) -> onnx.NodeProto:
        given = [f"{name}_quantized", f"{name}_scale", f"{name}_zero_point"]
        return helper.make_node("DequantizeLinear", given, [f"{name}_dequantized"], f"{name}_dequantize", axis=axis)

    def _store(self) -> None:
        """Replace float constants that nothing reads any more by the integers."""
        graph = self.proto.graph
        read = {name for node in graph.node for name in node.input}
        kept = [tensor for tensor in graph.initializer if tensor.name in read]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in self.added.items())
        del graph.value_info[:]


def roomy(known: WeightScale, weight: np.ndarray, bias: np.ndarray, unit: float) -> WeightScale:
    """Weight scales whose product with the input's scale can hold the bias in int32 and does not round it away.

    Only channels of weights that are nearly or all 0 are changed: there a scale follows from the bias alone.
    """
    size = np.abs(bias.astype(np.float64))
    scale = np.maximum(known.scale.astype(np.float64), size / (unit * 2**30))
    others = tuple(place for place in range(weight.ndim) if place != known.axis)
    dead = (np.abs(weight).max(axis=others) == 0) & (size > 0)
    return WeightScale(known.axis, np.where(dead, size / (unit * 2**20), scale).astype(np.float32))


def quantized(weight: np.ndarray, scale: np.ndarray, axis: int) -> np.ndarray:
    """Int8 weights: round half to even of weight / scale, within -127..127 so that the range is symmetric."""
    shape = [1] * weight.ndim
    shape[axis] = -1
    steps = np.rint(weight.astype(np.float64) / scale.astype(np.float64).reshape(shape))
    return np.clip(steps, -127, 127).astype(np.int8)
