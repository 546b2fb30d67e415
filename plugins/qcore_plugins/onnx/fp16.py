"""The converter `onnx-fp16`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from qcore.model import Model
from qcore.protocols import Progress
from qcore_plugins.quantization.graph import from_onnx
from qcore_plugins.quantization.half import half


class OnnxToFp16:
    """Float16 for the network, float32 for its inputs, its outputs and the decode."""

    def convert(self, model: Model, *, options: Mapping[str, Any], progress: Progress) -> Model:  # noqa: ARG002
        """The same graph; the contract stays as it is, because inputs and outputs do."""
        made = half(model.module, from_onnx(model.module).tail)
        return model.evolve(form=replace(model.form, precision="f16"), module=made)
