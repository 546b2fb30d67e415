"""Examples for the conformance checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qcore.plugin import Model
from qcore.testing import QuantizerConformance
from qcore_kit.testing import zoo


class TestMynet(QuantizerConformance):
    """The quantizer."""

    component = "mynet"

    def model(self, folder: Path) -> Model:
        """A small detector as ONNX."""
        return zoo.example()

    def fingerprint(self, result: Model) -> Any:
        """What the table says."""
        return dict(result.module.ranges), sorted(result.module.excluded)

    def written(self, result: Model) -> Model:
        """A table is run as a profile writes it."""
        return zoo.written(result, "onnxruntime")
