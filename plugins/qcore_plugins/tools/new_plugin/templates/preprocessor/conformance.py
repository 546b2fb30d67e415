"""Examples for the conformance checks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qcore.plugin import Tensor
from qcore.testing import PreprocessorConformance


class TestMynet(PreprocessorConformance):
    """The preprocessor."""

    component = "mynet"

    def tensors(self) -> Sequence[Tensor]:
        """Three numbers."""
        return (Tensor("values", "float32", (1, 3)),)

    def item(self, folder: Path) -> Any:
        """A file of three numbers."""
        path = folder / "row.txt"
        path.write_text("1 2 3")
        return path

    def odd(self) -> Sequence[Any]:
        """No number, and very many."""
        return [np.zeros(0, np.float32), np.zeros(10**6, np.float32)]
