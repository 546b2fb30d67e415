"""Examples for the conformance checks."""

from __future__ import annotations

from dataclasses import replace

from qcore.plugin import ConverterSpec, Form, Model
from qcore.testing import VerifierConformance
from qcore_kit.testing import zoo


class TestMynet(VerifierConformance):
    """The verifier."""

    component = "mynet"

    def step(self) -> ConverterSpec:
        """A converter that need not exist."""
        return ConverterSpec(name="any", summary="any", factory=object, accepts=(Form("x"),), produces=Form("y"))

    def before(self) -> Model:
        """A model of two classes."""
        model = zoo.example()
        return model.evolve(contract=replace(model.contract, classes=("up", "down")))

    def good(self) -> Model:
        """The same classes."""
        return self.before()

    def bad(self) -> Model:
        """One of them."""
        model = self.before()
        return model.evolve(contract=replace(model.contract, classes=("up",)))
