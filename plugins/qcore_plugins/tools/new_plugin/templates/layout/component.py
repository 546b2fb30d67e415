"""The layout `mynet`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qcore.plugin import Arrays, Tensor


class Mynet:
    """Reads arrays of NumPy and tensors of torch alike."""

    def read(self, outputs: Sequence[Tensor], values: Arrays) -> tuple[Any, Any]:
        """Boxes `[B, N, 4]` xyxy in input pixels and scores `[B, N, classes]`."""
        rows = values[outputs[0].name]
        return rows[..., -4:], rows[..., :-4]
