"""Examples for the conformance checks."""

from __future__ import annotations

from pathlib import Path

from qcore.plugin import Form
from qcore_kit.checks import Subject
from qcore_kit.testing import LinterConformance


class TestMynet(LinterConformance):
    """The linter."""

    component = "mynet"

    def subject(self, folder: Path) -> Subject:
        """A small file; a sparse one of 200 MiB would be found."""
        path = folder / "model.onnx"
        path.write_bytes(b"small")
        return Subject(path, "onnx", None, Form("onnx"), None, (), (), "onnxruntime")
