"""Examples for the conformance checks."""

from __future__ import annotations

from pathlib import Path

from qcore.plugin import Contract, Form, Model, Step, Tensor
from qcore.testing import FormatConformance


class TestMynet(FormatConformance):
    """The format."""

    component = "mynet"

    def model(self, folder: Path) -> Model:
        """Two numbers."""
        tensors = (Tensor("x", "float32", (1, 2)),), (Tensor("y", "float32", (1, 2)),)
        contract = Contract("numbers", *tensors, Step("none"), Step("none"))
        return Model(Form("mynet", encoding="float"), [0.5, 2.0], contract)
