"""The converters from scale tables to Q/DQ graphs, one a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from qcore.forms import Form
from qcore.model import Model
from qcore.protocols import Progress
from qcore_plugins.quantization.profiles import ONNXRUNTIME, OPENVINO, Profile
from qcore_plugins.quantization.writer import write


class TableToQdq:
    """Writes a scale table under a profile."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    def convert(self, model: Model, *, options: Mapping[str, Any], progress: Progress) -> Model:  # noqa: ARG002
        """The Q/DQ graph; the contract says the profile and the table's hash."""
        profile = self.profile
        said = {
            **dict(model.contract.provenance.get("quantization", {})),
            "profile": profile.name,
            "table_sha256": model.module.sha256(),
        }
        contract = replace(model.contract, provenance={**model.contract.provenance, "quantization": said})
        form = Form(
            "onnx",
            encoding="qdq",
            activation=profile.activation,
            symmetric=profile.symmetric,
            precision="f32",
            profile=profile.name,
            head=model.form.head,
        )
        return model.evolve(form=form, module=write(model.module, profile), contract=contract)


onnxruntime = TableToQdq(ONNXRUNTIME)
openvino = TableToQdq(OPENVINO)
