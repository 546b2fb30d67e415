"""The backend `torch`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from qcore.plugin import Model


class TorchSession:
    """Runs a module in eval mode on the CPU, in float32."""

    executed_precision = "f32"
    any_shape = True

    def __init__(self, module: torch.nn.Module, outputs: list[str]) -> None:
        self._module = module.eval()
        self._outputs = outputs

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference; the module takes the inputs in the contract's order."""
        with torch.inference_mode():
            given = self._module(*(torch.from_numpy(value) for value in inputs.values()))
        values = given if isinstance(given, (tuple, list)) else (given,)
        return {name: value.numpy() for name, value in zip(self._outputs, values, strict=True)}


class TorchBackend:
    """PyTorch on the CPU."""

    def compile(self, model: Model, *, options: Mapping[str, Any]) -> TorchSession:
        """Nothing is compiled; shapes may vary."""
        if options.get("threads"):
            torch.set_num_threads(options["threads"])
        return TorchSession(model.module, [tensor.name for tensor in model.contract.outputs])
