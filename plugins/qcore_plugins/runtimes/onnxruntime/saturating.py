"""ONNX Runtime as on a CPU without VNNI, on any machine: the graph taken literally, with what saturation changes added.

ONNX Runtime has no switch that masks instructions. Here the graph runs in pieces that end at each layer whose sums can
saturate; the layer's float result is corrected by what its integer kernel would have lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from qcore.plugin import UsageError
from qcore_kit.onnxfile.integers import integer_layers
from qcore_kit.onnxfile.scale import attribute
from qcore_kit.onnxfile.view import View
from qcore_kit.quantization.integers import IntegerLayer
from qcore_kit.quantization.products import MLAS
from qcore_kit.quantization.saturation import clipped

RUNTIME = "onnxruntime"
UNKNOWN = {
    "ConvInteger", "DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMulInteger", "MatMulIntegerToFloat", "QGemm",
    "QLinearConv", "QLinearMatMul",
}  # fmt: skip
"""Operators with integer sums of their own, which are not computed here."""


class SaturatingSession:
    """What ONNX Runtime computes on x86 CPUs without VNNI."""

    cpu = "avx2"
    executed_precision = "int8, computed as on a CPU without VNNI"

    def __init__(self, proto: onnx.ModelProto) -> None:
        if unknown := sorted({node.op_type for node in proto.graph.node} & UNKNOWN):
            raise UsageError(
                f"onnxruntime: cannot compute {', '.join(unknown)} as on a CPU without VNNI, expected Q/DQ only",
                hint="run it on such a CPU",
            )
        self._outputs = [value.name for value in proto.graph.output]
        self._pieces = list(_pieces(proto))

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference; all outputs."""
        known = dict(inputs)
        for piece in self._pieces:
            known |= piece.run(known)
        return {name: known[name] for name in self._outputs}


@dataclass(frozen=True)
class _Piece:
    """Operations in a row, the last of which may be a layer whose result is corrected."""

    session: onnxruntime.InferenceSession
    inputs: Sequence[str]
    outputs: Sequence[str]
    layer: IntegerLayer | None = None
    result: str = ""
    factor: float = 1.0

    def run(self, known: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        given = {name: known[name] for name in self.inputs}
        values = dict(zip(self.outputs, self.session.run(list(self.outputs), given), strict=True))
        if self.layer is not None:
            read = values[self.layer.input] if self.layer.input in values else known[self.layer.input]
            values[self.result] = values[self.result] + self._change(self.layer, read, values[self.result].shape)
        return values

    def _change(self, layer: IntegerLayer, read: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        change = clipped(layer.products, layer.integers(read), layer.point, MLAS) * (layer.scale * layer.steps)
        single: np.ndarray = change.astype(np.float32) * np.float32(self.factor)
        if layer.products.op == "Conv":
            return np.moveaxis(single.reshape(shape[0], *shape[2:], shape[1]), -1, 1)
        return single.reshape(shape)


def _pieces(proto: onnx.ModelProto) -> Iterator[_Piece]:
    cuts = {layer.output: layer for layer in integer_layers(View(proto), RUNTIME) if layer.can_saturate(RUNTIME)}
    graph = proto.graph
    inferred = onnx.shape_inference.infer_shapes(proto).graph
    kinds = {value.name: value.type.tensor_type.elem_type for value in [*inferred.value_info, *inferred.input]}
    stored_ = {tensor.name: tensor for tensor in graph.initializer}
    last_read = {name: place for place, node in enumerate(graph.node) for name in node.input}
    last_read |= {value.name: len(graph.node) for value in graph.output}
    piece: list[onnx.NodeProto] = []
    for place, node in enumerate(graph.node):
        piece.append(node)
        layer = cuts.get(node.output[0])
        if layer is None and place + 1 < len(graph.node):
            continue
        outputs = [name for each in piece for name in each.output if name and last_read.get(name, -1) > place]
        read = dict.fromkeys(name for each in piece for name in each.input if name)
        own = {name for each in piece for name in each.output}
        given = [name for name in read if name not in own and name not in stored_]
        if layer is not None:
            outputs = list(dict.fromkeys([*outputs, node.output[0], *([layer.input] if layer.input in own else [])]))
        small = helper.make_model(
            helper.make_graph(
                piece,
                "piece",
                [helper.make_tensor_value_info(name, kinds[name], None) for name in given],
                [helper.make_empty_tensor_value_info(name) for name in outputs],
                [stored_[name] for name in read if name in stored_],
            ),
            opset_imports=proto.opset_import,
            ir_version=proto.ir_version,
        )
        factor = float(attribute(node, "alpha", 1.0)) if node.op_type == "Gemm" else 1.0
        yield _Piece(_session(small), given, outputs, layer, node.output[0], factor)
        piece = []


def _session(proto: onnx.ModelProto) -> onnxruntime.InferenceSession:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(proto.SerializeToString(), settings, providers=["CPUExecutionProvider"])
