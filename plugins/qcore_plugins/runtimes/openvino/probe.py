"""The probe `openvino`: inner tensors of an OpenVINO model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import openvino
from openvino import opset13 as ops

from qcore.plugin import Model
from qcore_kit.comparison.protocols import Quantized
from qcore_kit.irfile.integers import integer_layers
from qcore_kit.irfile.literal import Inner
from qcore_kit.quantization.integers import losses
from qcore_kit.quantization.products import KERNELS

WEIGHTED = {"Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData", "MatMul"}


class OpenVinoInside:
    """A model whose named tensors can be asked for."""

    def __init__(self, model: openvino.Model) -> None:
        self._model = model
        self._outputs = {
            name: port
            for op in model.get_ordered_ops()
            if op.get_type_name() != "Result"  # has the names of what it reads, and cannot be read itself
            for port in op.outputs()
            for name in port.get_names()
        }
        self.tensors = frozenset(self._outputs)
        self.layers: Mapping[str, tuple[int, ...]] = {
            name: shape for op in model.get_ordered_ops() for name, shape in _layer(op)
        }
        self.names: Mapping[str, str] = {}
        self.remarks: Sequence[tuple[str, str, str]] = ()
        self._asked: tuple[list[str], openvino.CompiledModel] | None = None

    def run(self, inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
        """The tensors of those names in float32, for one inference with float32 for what is not quantized."""
        if self._asked is None or self._asked[0] != list(names):
            results = [ops.result(self._outputs[name]) for name in names]
            asked = openvino.Model(results, self._model.get_parameters())
            config = {"INFERENCE_PRECISION_HINT": "f32"}
            self._asked = list(names), openvino.Core().compile_model(asked, "CPU", config)
        given = self._asked[1](dict(inputs))
        return {name: np.array(given[place], np.float32) for place, name in enumerate(names)}

    def quantized(self, layer: str) -> list[Quantized]:  # noqa: ARG002
        """Nothing: what OpenVINO rounds is decided when it compiles."""
        return []

    def saturation(self, inputs: Sequence[Mapping[str, np.ndarray]], backend: str) -> dict[str, float]:
        """What sums lose on CPUs without VNNI, in dB by layer."""
        if backend not in KERNELS:
            return {}
        ratios = losses(integer_layers(self._model), Inner(self._model).run, inputs, backend)
        return {layer: loss.decibels for layer, loss in ratios.items()}


def _layer(op: openvino.Node) -> list[tuple[str, tuple[int, ...]]]:
    """Name of what a weighted operation makes, with its bias added, and the shape of its weight."""
    if op.get_type_name() not in WEIGHTED:
        return []
    port = op.output(0)
    readers = [reader.get_node() for reader in port.get_target_inputs()]
    sums = [reader for reader in readers if reader.get_type_name() == "Add"]
    if not port.get_names() and len(sums) == 1:
        port = sums[0].output(0)
    shape = op.input_value(1).get_partial_shape()
    return [(sorted(port.get_names())[0], tuple(shape.get_max_shape()))] if port.get_names() else []


class OpenVinoProbe:
    """Opens OpenVINO models."""

    def open(self, model: Model) -> OpenVinoInside:
        """The model, ready to be asked."""
        return OpenVinoInside(model.module)
