"""The writer: a scale table put into its float graph as Q/DQ, under a profile. The only place where Q/DQ is made."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from qcore.plugin import CheckFailed
from qcore_kit.onnxfile.opset import HALF, PER_CHANNEL, opset
from qcore_kit.quantization.graph import from_onnx
from qcore_kit.quantization.half import SMALLEST, half
from qcore_kit.quantization.operations import attributes_of, names_read
from qcore_kit.quantization.placement import Placement, place
from qcore_kit.quantization.profiles import Profile
from qcore_kit.quantization.table import Range, ScaleTable, WeightScale

DTYPES = {"u8": np.uint8, "s8": np.int8}


def write(table: ScaleTable, profile: Profile) -> onnx.ModelProto:
    """The graph with Q/DQ on the tensors that the profile asks for.

    Weights are stored as int8 behind one DequantizeLinear, with a scale for each output channel.

    Args:
        table: Ranges for every tensor the profile quantizes; `ScaleTable.make` has checked them.
        profile: Of the runtime.

    Raises:
        CheckFailed: The graph's opset does not have what the profile needs.
    """
    needed, what = (HALF, "float16 Q/DQ") if profile.half else (PER_CHANNEL, "scales per channel")
    if opset(table.graph) < needed:
        raise CheckFailed(
            f"the graph has opset {opset(table.graph)}; {what} of profile {profile.name} need opset {needed}",
            hint=f"export the float model with opset {HALF} or later, and quantize that",
        )
    graph, table = from_onnx(table.graph), table.under(profile)
    model = _Writer(table, profile, place(graph, profile, table.excluded)).written()
    return half(model, graph.tail) if profile.half else model


class _Writer:
    def __init__(self, table: ScaleTable, profile: Profile, placement: Placement) -> None:
        self.table, self.profile, self.placement = table, profile, placement
        self.proto = onnx.ModelProto()
        self.proto.CopyFrom(table.graph)
        graph = self.proto.graph
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.taken = {*self.constants, *names_read(graph.node), *(name for node in graph.node for name in node.output)}
        self.taken |= {value.name for value in graph.input}
        self.added: dict[str, np.ndarray] = {}
        self.scales: dict[str, float] = {}
        self.stored: dict[tuple[str, float, bytes], str] = {}

    def written(self) -> onnx.ModelProto:
        graph = self.proto.graph
        joined = self.table.joined(self.placement)
        pairs = {name: self._pair(name, joined[group]) for name, group in self.placement.tensors.items()}
        renamed = {name: pair[1].output[0] for name, pair in pairs.items()}
        weights = {node.name: node for node in self.placement.weighted}
        nodes: list[onnx.NodeProto] = [node for value in graph.input for node in pairs.get(value.name, ())]
        for node in graph.node:
            label = node.name or node.output[0]
            source = node.input[0] if node.input else ""
            if label not in self.placement.plain:
                for place_, name in enumerate(node.input):
                    node.input[place_] = renamed.get(name, name)
            if label in weights:
                nodes += self._weights(node, source)
            nodes.append(node)
            nodes += [made for name in node.output for made in pairs.get(name, ())]
        del graph.node[:]
        graph.node.extend(nodes)
        self._store()
        return self.proto

    def _free(self, name: str) -> str:
        """A name for a tensor that the graph does not have yet."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def _pair(self, name: str, found: Range) -> tuple[onnx.NodeProto, onnx.NodeProto]:
        scale, point = found.quantization(self.profile.activation, self.profile.symmetric)
        if self.profile.half:
            scale = float(np.float16(max(scale, SMALLEST)))
        self.scales[name] = float(np.float32(scale))
        parameters = [self._free(f"{name}_scale"), self._free(f"{name}_zero_point")]
        self.added[parameters[0]] = np.array(scale, np.float32)
        self.added[parameters[1]] = np.array(point, DTYPES[self.profile.activation])
        quantized_, back = self._free(f"{name}_quantized"), self._free(f"{name}_dequantized")
        return (
            helper.make_node("QuantizeLinear", [name, *parameters], [quantized_], f"{name}_quantize"),
            helper.make_node("DequantizeLinear", [quantized_, *parameters], [back], f"{name}_dequantize"),
        )

    def _weights(self, node: onnx.NodeProto, source: str) -> list[onnx.NodeProto]:
        """Int8 weights, and int32 bias where the profile has one, each behind a DequantizeLinear."""
        name = node.input[1]
        bias = self.constants.get(node.input[2]) if len(node.input) > 2 else None
        factor, bias = _unscaled(node, bias)
        weight, known = self.constants[name] * np.float32(factor), self.table.weights[name]
        known = WeightScale(known.axis, known.scale * abs(np.float32(factor)))
        if self.profile.half:
            known = WeightScale(known.axis, np.maximum(known.scale, SMALLEST).astype(np.float16).astype(np.float32))
        channels = None
        if self.profile.integer_bias and bias is not None and source in self.scales:
            channels = channel_bias(node.op_type, bias, weight, known)
        if channels is not None:
            known = roomy(known, weight, channels, self.scales[source])
        key = name, factor, known.scale.tobytes()
        nodes = []
        if key not in self.stored:
            nodes.append(self._dequantized(name, quantized(weight, known.scale, known.axis), known.scale, known.axis))
            self.stored[key] = nodes[0].output[0]
        node.input[1] = self.stored[key]
        if channels is not None:
            unit = np.resize(self.scales[source] * known.scale.astype(np.float64), channels.size).astype(np.float32)
            steps = np.clip(np.rint(channels / unit.astype(np.float64)), -(2**31), 2**31 - 1).astype(np.int32)
            own = f"{node.input[2]}_{node.output[0]}"  # a bias may serve several nodes, its scale cannot
            nodes.append(self._dequantized(own, steps, unit, 0))
            node.input[2] = nodes[-1].output[0]
        elif bias is not None and bias is not self.constants[node.input[2]]:
            node.input[2] = own = self._free(f"{node.input[2]}_{node.output[0]}")
            self.added[own] = bias
        return nodes

    def _dequantized(self, name: str, steps: np.ndarray, scale: np.ndarray, axis: int | None) -> onnx.NodeProto:
        """Store integers; the node that makes floats of them."""
        given = [self._free(f"{name}_{part}") for part in ("quantized", "scale", "zero_point")]
        scale = scale.astype(np.float32) if axis is not None else scale.astype(np.float32).reshape(())
        points = np.zeros(scale.shape, steps.dtype)
        self.added.update(zip(given, (steps, scale, points), strict=True))
        back = self._free(f"{name}_dequantized")
        along: dict[str, Any] = {} if axis is None else {"axis": axis}
        return helper.make_node("DequantizeLinear", given, [back], back.replace("_dequantized", "_dequantize"), **along)

    def _store(self) -> None:
        """Replace float constants that nothing reads any more by the integers."""
        graph = self.proto.graph
        read = {*names_read(graph.node), *(value.name for value in graph.output)}
        kept = [tensor for tensor in graph.initializer if tensor.name in read]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in self.added.items())
        del graph.value_info[:]


def _unscaled(node: onnx.NodeProto, bias: np.ndarray | None) -> tuple[float, np.ndarray | None]:
    """What the weight of a node is to be multiplied by, and its bias, so that a Gemm has no factors any more.

    ONNX Runtime's integers add the bias as stored, and leave it out of the units that a factor changes.
    """
    attributes = attributes_of(node) if node.op_type == "Gemm" else {}
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
    fixed = bias is not None or len(node.input) < 3
    dropped = {"alpha", "beta"} if fixed else {"alpha"}
    kept = [entry for entry in node.attribute if node.op_type != "Gemm" or entry.name not in dropped]
    del node.attribute[:]
    node.attribute.extend(kept)
    return alpha, bias if bias is None or beta == 1 else bias * np.float32(beta)


def channel_bias(op: str, bias: np.ndarray, weight: np.ndarray, known: WeightScale) -> np.ndarray | None:
    """A bias as one number for each output channel; None where it has others, or is different from row to row.

    Args:
        op: Kind of the operation.
        bias: Of any shape that the operation takes.
        weight: Of the operation.
        known: Scales of the weight.
    """
    if op != "Gemm" or known.axis is None:
        return bias if bias.ndim == 1 and bias.size % known.scale.size == 0 else None
    count = weight.shape[known.axis]
    flat = bias.reshape(-1)
    if bias.size == 1:
        return np.broadcast_to(flat, (count,))
    return flat if flat.size == count and bias.shape[-1] == count else None


def roomy(known: WeightScale, weight: np.ndarray, bias: np.ndarray, unit: float) -> WeightScale:
    """Weight scales whose product with the input's scale can hold the bias in int32 and does not round it away.

    Only channels of weights that are nearly or all 0 are changed: there a scale follows from the bias alone.

    Args:
        known: The scales.
        weight: What they are of.
        bias: A number for each output channel; channels of several groups may share a scale.
        unit: Scale of the input.
    """
    size = np.abs(bias.astype(np.float64)).reshape(-1, known.scale.size).max(axis=0)
    scale = np.maximum(known.scale.astype(np.float64), size / (unit * 2**30))
    others = None if known.axis is None else tuple(place for place in range(weight.ndim) if place != known.axis)
    dead = (np.abs(weight).max(axis=others) == 0) & (size > 0)
    return WeightScale(known.axis, np.where(dead, size / (unit * 2**20), scale).astype(np.float32))


def quantized(weight: np.ndarray, scale: np.ndarray, axis: int | None) -> np.ndarray:
    """Int8 weights: round half to even of weight / scale, within -127..127 so that the range is symmetric."""
    known = WeightScale(axis, scale.astype(np.float64))
    result: np.ndarray = np.clip(np.rint(weight.astype(np.float64) / known.spread(weight.ndim)), -127, 127).astype(
        np.int8
    )
    return result
