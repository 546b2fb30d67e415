"""The converter `torch-onnx`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import onnx
import torch

from qcore.plugin import Form, Model, Progress
from qcore_plugins._shared.exporter.onnx import export


class TorchToOnnx:
    """Exports through `torch.export`, whose node names become the tensor names of the file."""

    verifies = True

    def convert(self, model: Model, *, options: Mapping[str, Any], progress: Progress) -> Model:  # noqa: ARG002
        """The float ONNX graph with the contract's shapes; errors as in `export`."""
        contract = model.contract
        _, proto = export(model.module, contract)
        tools = {**dict(contract.provenance.get("tools", {})), "torch": torch.__version__, "onnx": onnx.__version__}
        said = replace(contract, provenance={**contract.provenance, "tools": tools})
        return model.evolve(form=Form("onnx", encoding="float", precision="f32"), module=proto, contract=said)
