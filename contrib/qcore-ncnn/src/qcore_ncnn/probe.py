"""The probe `ncnn`: inner blobs of an ncnn model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from qcore.plugin import Model
from qcore_kit.comparison.protocols import Quantized
from qcore_ncnn.layers import WEIGHTED, Layer, weight_shape
from qcore_ncnn.net import Net, single

STEPS = 127


class NcnnInside:
    """A model whose blobs can be asked for, which have the names of the graph's tensors."""

    def __init__(self, model: Model) -> None:
        self._contract, self._blobs = model.contract, model.module.blobs
        self._net = Net(model.module, str(model.notes.get("file", "model")))
        self._made: dict[str, Layer] = {name: layer for layer in model.module.layers for name in layer.outputs}
        weighted = [layer for layer in model.module.layers if layer.kind in WEIGHTED]
        self.tensors = frozenset(self._made)
        self.layers: Mapping[str, tuple[int, ...]] = {layer.outputs[0]: weight_shape(layer) for layer in weighted}
        self.names: Mapping[str, str] = {}
        self.remarks: Sequence[tuple[str, str, str]] = ()

    def run(self, inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
        """The blobs of those names with a batch of 1, for one inference."""
        given = single(inputs, self._contract.inputs, 0)
        made = self._net.run({self._blobs[name]: value for name, value in given.items()}, names, kept=True)
        return {name: value[None] for name, value in made.items()}

    def quantized(self, layer: str) -> list[Quantized]:
        """How what an int8 layer reads is rounded."""
        made = self._made[layer]
        if not made.is_integer:
            return []
        read, step = made.inputs[0], 1 / float(made.weights[-1][0])
        while self._made[read].kind == "Split":
            read = self._made[read].inputs[0]
        return [Quantized(read, -STEPS * step, STEPS * step, step)]


class NcnnProbe:
    """Opens ncnn models."""

    def open(self, model: Model) -> NcnnInside:
        """The model, ready to be asked."""
        return NcnnInside(model)
