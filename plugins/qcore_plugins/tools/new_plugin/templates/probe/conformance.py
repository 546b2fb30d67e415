"""Examples for the conformance checks."""

from __future__ import annotations

from pathlib import Path

from qcore.plugin import Model
from qcore_kit.testing import ProbeConformance, zoo


class TestMynet(ProbeConformance):
    """The probe."""

    component = "mynet"

    def model(self, folder: Path) -> Model:
        """A small detector as ONNX."""
        return zoo.example()
