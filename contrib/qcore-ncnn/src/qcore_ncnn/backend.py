"""The backend `ncnn`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qcore.plugin import Contract, Model
from qcore_kit.abilities import Executed
from qcore_ncnn.format import NcnnModel
from qcore_ncnn.layers import WEIGHTED
from qcore_ncnn.net import Net, single


class NcnnSession:
    """A loaded model; the elements of a batch run one after another."""

    def __init__(self, net: Net, model: NcnnModel, contract: Contract) -> None:
        self._net, self._model, self._contract = net, model, contract
        self._blobs = [model.blobs[tensor.name] for tensor in contract.outputs]
        integer = any(layer.is_integer for layer in model.layers)
        self.executed_precision = "int8 (f32)" if integer else "f32"

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference for each element of the batch; all outputs.

        Raises:
            FileError: The arrays are not of the contract's shapes.
        """
        tensors, names = self._contract.inputs, self._model.blobs
        made = []
        for place in range(len(inputs[tensors[0].name])):
            given = {names[name]: value for name, value in single(inputs, tensors, place).items()}
            made.append(self._net.run(given, self._blobs))
        one = len(made) == 1
        return {
            tensor.name: made[0][blob][None] if one else np.stack([each[blob] for each in made])
            for tensor, blob in zip(self._contract.outputs, self._blobs, strict=True)
        }

    def executed(self) -> Executed:
        """How many layers compute in integers: ncnn does so wherever a layer has scales."""
        layers = [layer for layer in self._model.layers if layer.kind in WEIGHTED]
        floats = tuple(layer.name for layer in layers if not layer.is_integer)
        return Executed(len(layers), len(layers) - len(floats), floats)


class NcnnBackend:
    """ncnn on the CPU, in float32 where a layer is not int8: left alone it computes in 16 bits where the CPU can."""

    def compile(self, model: Model, *, options: Mapping[str, Any]) -> NcnnSession:
        """Load the layers.

        Raises:
            FileError: ncnn refuses them.
        """
        net = Net(model.module, str(model.notes.get("file", "model")), threads=options.get("threads", 0))
        return NcnnSession(net, model.module, model.contract)
