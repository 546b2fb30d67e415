"""The preprocessor `mynet`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qcore.plugin import FileError, Prepared, Tensor, UsageError


class Mynet:
    """One row of numbers a file.

    Args:
        params: Of the contract: `scale`, a factor on all numbers.
        inputs: Of the contract: one tensor `[batch, values]`.
    """

    def __init__(self, params: Mapping[str, Any], inputs: Sequence[Tensor]) -> None:
        self._scale = float(params.get("scale", 1.0))
        self._name, self._width = inputs[0].name, inputs[0].shape[1]

    def expand(self, source: Any) -> list[Any]:
        """A folder stands for its text files, in the order of their names; anything else for itself."""
        folder = Path(source) if isinstance(source, str | Path) else None
        return sorted(folder.glob("*.txt")) if folder and folder.is_dir() else [source]

    def read(self, item: Any) -> Any:
        """The numbers; FileError where the file holds something else."""
        import numpy as np

        if isinstance(item, np.ndarray):
            return item
        try:
            values = np.array(Path(item).read_text(encoding="utf-8").split(), np.float32)
        except (OSError, ValueError) as error:
            raise FileError(f"{item}: not a text file of numbers", hint="one row, separated by spaces") from error
        if not values.size:
            raise FileError(f"{item}: holds no numbers", hint="one row, separated by spaces")
        return values

    def prepare(self, raw: Any) -> Prepared:
        """The tensor; nothing has to be mapped back."""
        import numpy as np

        if raw.shape != (self._width,):
            raise UsageError(f"expected {self._width} numbers, got {raw.size}")
        return Prepared({self._name: (raw * np.float32(self._scale))[None]})
