"""The probe `onnx`: inner tensors of an ONNX graph, computed by ONNX Runtime."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx

from qcore.plugin import Model, counted
from qcore_kit.comparison.protocols import Quantized
from qcore_kit.onnxfile.integer_operators import DYNAMIC, kind
from qcore_kit.onnxfile.integers import integer_layers
from qcore_kit.onnxfile.literal import Inner
from qcore_kit.onnxfile.scale import Scale
from qcore_kit.onnxfile.view import View
from qcore_kit.quantization.integers import losses
from qcore_kit.quantization.products import KERNELS

SILU_MINIMUM = -1.278
"""Where x * sigmoid(x) is lowest; left of it, it comes back to 0."""


class OnnxInside:
    """A graph whose tensors can be asked for.

    Nothing is fused: with its own optimizations, ONNX Runtime rounds some tensors that the graph does not.
    """

    def __init__(self, proto: onnx.ModelProto) -> None:
        self._inner = Inner(proto)
        self._view = view = View(proto)
        self.layers: Mapping[str, tuple[int, ...]] = {
            node.outputs[0]: self._shape(view.nodes[node.name].input[1]) for node in view.graph.weighted
        }
        self.names: Mapping[str, str] = {node.outputs[0]: node.layer for node in view.graph.weighted}
        inferred = onnx.shape_inference.infer_shapes(proto).graph
        floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16}
        values = (*inferred.value_info, *inferred.output)
        floating = {value.name for value in values if value.type.tensor_type.elem_type in floats}
        self.tensors = frozenset(floating) | set(view.graph.inputs)
        self.remarks = list(self._computed())

    def run(self, inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
        """The tensors of those names in float32, for one inference."""
        return self._inner.run({name: inputs[name] for name in self._view.graph.inputs}, names)

    def quantized(self, layer: str) -> list[Quantized]:
        """How what a layer reads and makes is rounded, where one stored scale does it."""
        view = self._view
        maker = view.makers[layer]
        read = view.moved(maker.input[0])
        inputs = [_rounded(view.behind(maker.input[0]), read)] if read else []
        outputs = [_rounded(layer, scale) for scale in view.quantized(layer)]
        inputs += [replace(each, low=-math.inf) if each and self._unseen(layer, each.low) else each for each in outputs]
        return [each for each in inputs if each]

    def saturation(self, inputs: Sequence[Mapping[str, np.ndarray]], backend: str) -> dict[str, float]:
        """What sums lose on CPUs without VNNI, in dB by layer."""
        if backend not in KERNELS:
            return {}
        layers = integer_layers(self._view, backend)
        ratios = losses(layers, self._inner.run, inputs, backend)
        return {layer: loss.decibels for layer, loss in ratios.items()}

    def _unseen(self, layer: str, low: float) -> bool:
        """Whether only a SiLU reads a tensor, and makes less than a step of its own of what lies below."""
        graph = self._view.graph
        products = [product for product, gate in graph.silus.items() if gate.inputs[0] == layer]
        scales = [scale.values for product in products for scale in self._view.quantized(product)]
        if layer not in graph.gated() or not scales or not low < SILU_MINIMUM:
            return False
        below = -low * math.exp(low) / (1 + math.exp(low))
        return all(values is not None and below <= values.min() for values in scales)

    def _shape(self, name: str) -> tuple[int, ...]:
        stored = self._view.value(self._view.behind(name))
        return () if stored is None else tuple(stored.shape)

    def _computed(self) -> list[tuple[str, str, str]]:
        view = self._view
        names = [name for name, scale in view.activations.items() if scale.values is None or scale.points is None]
        names = [name for name in names if not all(map(view.follows_from_constants, view.nodes[name].input[1:]))]
        names += [name for name, node in view.nodes.items() if kind(node.op_type) == DYNAMIC]
        if not names:
            return []
        line = f"{counted(len(names), 'operator')} compute scales from each input or use such scales, first {names[0]}"
        hint = "to store them, calibrate the float model: qcore quantize MODEL --calib DIR"
        return [("scales are computed at run time", line, hint)]


def _rounded(tensor: str, scale: Scale) -> Quantized | None:
    if scale.values is None or scale.points is None or scale.values.size != 1 or scale.kind == "computed":
        return None
    low, high = scale.span
    return Quantized(tensor, low, high, float(scale.values.flat[0]))


class OnnxProbe:
    """Opens ONNX graphs."""

    def open(self, model: Model) -> OnnxInside:
        """The graph, ready to be asked."""
        return OnnxInside(model.module)
