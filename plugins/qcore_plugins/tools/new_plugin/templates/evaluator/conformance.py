"""Examples for the conformance checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qcore.plugin import Contract, Step, Tensor
from qcore.testing import EvaluatorConformance


class TestMynet(EvaluatorConformance):
    """The evaluator."""

    component = "mynet"

    def contract(self) -> Contract:
        """Two classes."""
        tensors = (Tensor("x", "float32", (1, 2)),), (Tensor("y", "float32", (1, 2)),)
        return Contract("mynet-classification", *tensors, Step("mynet"), Step("mynet"), ("up", "down"))

    def data(self, folder: Path) -> Any:
        """Two inputs."""
        path = folder / "labels.json"
        path.write_text('{"a.txt": "up", "b.txt": "down"}')
        return path

    def right(self, place: int, item: Any) -> Any:
        """As the labels say."""
        return {"name": ("up", "down")[place]}
