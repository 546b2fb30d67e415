"""Examples for the conformance checks."""

from __future__ import annotations

from pathlib import Path

from qcore.plugin import Model
from qcore_kit.testing import AnalyzerConformance, zoo


class TestMynet(AnalyzerConformance):
    """The analyzer."""

    component = "mynet"

    def model(self, folder: Path) -> Model:
        """A small detector as ONNX."""
        return zoo.example()
