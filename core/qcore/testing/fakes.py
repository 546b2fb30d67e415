"""Small stand-ins that checks of components work with."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from qcore.contract import Contract
from qcore.protocols import Arrays, Session
from qcore.workflow.inputs import batch_size, stack


class CalibrationInputs:
    """Calibration data made of prepared inputs; see `qcore.plugin.CalibrationData`.

    Args:
        inputs: Arrays by the name of the input tensor, 1 along the batch axis.
        contract: Of the model.
        judge: Gives the main figure of a session; None without labelled data.
    """

    def __init__(
        self, inputs: Sequence[Arrays], contract: Contract, judge: Callable[[Session], float] | None = None
    ) -> None:
        self.inputs, self.contract, self.judge = list(inputs), contract, judge

    @property
    def sha256(self) -> str:
        """Over all arrays in their order."""
        digest = hashlib.sha256()
        for arrays in self.inputs:
            for name in sorted(arrays):
                digest.update(name.encode() + arrays[name].tobytes())
        return digest.hexdigest()

    @property
    def count(self) -> int:
        """How many inputs there are."""
        return len(self.inputs)

    def __len__(self) -> int:
        return math.ceil(len(self.inputs) / batch_size(self.contract.inputs))

    def take(self, places: Sequence[int]) -> dict[str, Any]:
        """The inputs at those places as one batch."""
        return stack([self.inputs[place] for place in places], self.contract.inputs)

    def __iter__(self) -> Iterator[Arrays]:
        size = batch_size(self.contract.inputs)
        for start in range(0, len(self.inputs), size):
            yield stack(self.inputs[start : start + size], self.contract.inputs, size)
