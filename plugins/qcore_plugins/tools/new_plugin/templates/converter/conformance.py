"""Examples for the conformance checks."""

from __future__ import annotations

from pathlib import Path

from qcore.plugin import Model
from qcore.testing import ConverterConformance
from qcore_kit.testing import zoo


class TestMynet(ConverterConformance):
    """The converter."""

    component = "mynet"

    def model(self, folder: Path) -> Model:
        """A small detector as ONNX."""
        return zoo.example()
