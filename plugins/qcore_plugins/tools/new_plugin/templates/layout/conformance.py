"""Examples for the conformance checks."""

from __future__ import annotations

from collections.abc import Sequence

from qcore.plugin import Tensor
from qcore_kit.testing import LayoutConformance


class TestMynet(LayoutConformance):
    """The layout."""

    component = "mynet"

    def tensors(self) -> Sequence[Tensor]:
        """Ten boxes of two classes."""
        return [Tensor("output", "float32", (1, 10, 6), meaning="mynet", stage="decoded")]
