"""From scale tables to Q/DQ graphs: one converter for every profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from qcore.plugin import CheckFailed, Form, Model, Progress, Session
from qcore_kit.quantization.explain import explained, layers
from qcore_kit.quantization.graph import from_onnx
from qcore_kit.quantization.literal import literal
from qcore_kit.quantization.narrowing import recorded
from qcore_kit.quantization.placement import place
from qcore_kit.quantization.profiles import Profile
from qcore_kit.quantization.writer import write


class QdqConverter:
    """Writes a scale table under a profile."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    def source(self, model: Model) -> Session:
        """The float graph of the table."""
        return literal(model.module.graph)

    def convert(self, model: Model, *, options: Mapping[str, Any], progress: Progress) -> Model:  # noqa: ARG002
        """The Q/DQ graph; the contract says the profile and the table's hash.

        Raises:
            CheckFailed: The table lacks a tensor that the profile quantizes.
        """
        profile, table = self.profile, model.module
        graph = from_onnx(table.graph)
        placement = place(graph, profile, table.excluded)
        try:
            written = write(table, profile)
        except KeyError as missing:
            raise CheckFailed(
                f"the scale table has no scale for tensor {missing}", hint="calibrate again, with qcore quantize"
            ) from missing
        quantization = {
            **dict(model.contract.provenance.get("quantization", {})),
            "profile": profile.name,
            "table_sha256": table.sha256(),
            **({"left_float": layers(graph, table.excluded)} if table.excluded else {}),
        }
        if profile.name in table.narrowed:
            quantization["saturation"] = recorded(table.narrowed[profile.name], placement.weighted)
        contract = replace(model.contract, provenance={**model.contract.provenance, "quantization": quantization})
        form = Form(
            "onnx",
            encoding="qdq",
            activation=profile.activation,
            symmetric=profile.symmetric,
            precision="f16" if profile.half else "f32",
            profile=profile.name,
            head=model.form.head,
        )
        simulated = partial(table.simulate, table, profile) if table.simulate else partial(literal, written)
        return model.evolve(
            form=form,
            module=written,
            contract=contract,
            reference=simulated,
            layers=explained(graph, profile, placement, table.excluded),
        )
