"""Examples for the conformance checks."""

from __future__ import annotations

from pathlib import Path

from qcore.plugin import Model
from qcore.testing import BackendConformance
from qcore_kit.testing import zoo


class TestMynet(BackendConformance):
    """The backend, beside any other that runs the same graph."""

    component = "mynet"

    def model(self, folder: Path) -> Model:
        """A small detector as ONNX."""
        return zoo.example()
