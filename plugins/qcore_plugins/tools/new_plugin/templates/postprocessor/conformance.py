"""Examples for the conformance checks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qcore.plugin import Arrays, Tensor
from qcore.testing import PostprocessorConformance


class TestMynet(PostprocessorConformance):
    """The postprocessor."""

    component = "mynet"

    def tensors(self) -> Sequence[Tensor]:
        """Scores of two classes."""
        return (Tensor("scores", "float32", (1, 2)),)

    def outputs(self, seed: int) -> Arrays:
        """One class, then the other."""
        return {"scores": np.array([[1, 2] if seed else [2, 1]], np.float32)}
