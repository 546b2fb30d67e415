"""The probe `mynet`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qcore.plugin import Arrays, Model
from qcore_kit.comparison.protocols import Quantized


class Inside:
    """A float graph whose inner tensors can be asked for."""

    remarks: Sequence[tuple[str, str, str]] = ()

    def __init__(self, proto: Any) -> None:
        from qcore_kit.quantization.graph import from_onnx

        shapes = {tensor.name: tuple(tensor.dims) for tensor in proto.graph.initializer}
        layers = from_onnx(proto).weighted
        self._proto = proto
        self.layers = {layer.outputs[0]: shapes[layer.weight] for layer in layers}
        self.names = {layer.outputs[0]: layer.layer for layer in layers}
        self.tensors = frozenset(name for node in proto.graph.node for name in node.output if name)

    def run(self, inputs: Arrays, names: Sequence[str]) -> dict[str, Any]:
        """The tensors of those names."""
        from onnx import ModelProto, helper
        from onnx.reference import ReferenceEvaluator

        watched = ModelProto()
        watched.CopyFrom(self._proto)
        known = {output.name for output in watched.graph.output}
        watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names if name not in known)
        return dict(zip(names, ReferenceEvaluator(watched).run(list(names), dict(inputs)), strict=True))

    def quantized(self, layer: str) -> Sequence[Quantized]:
        """Nothing is rounded in a float graph."""
        return ()


class Mynet:
    """Opens float graphs."""

    def open(self, model: Model) -> Inside:
        """The graph, ready to be asked."""
        return Inside(model.module)
