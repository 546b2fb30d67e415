"""A few inputs of a file, as its contract's preprocessing makes them, for looking at what is inside."""

from __future__ import annotations

from typing import Any

from qcore.plugin import Arrays, Calibration, Contract, Host, PreprocessorSpec, Progress, Silent

COUNT = 8
"""How many are drawn."""


def read_samples(
    contract: Contract, source: Any, *, plugins: Host, count: int = COUNT, progress: Progress | None = None
) -> tuple[Arrays, ...]:
    """Input tensors by name, one batch of the contract's size each.

    Args:
        contract: Of the file.
        source: What the preprocessor expands, e.g. a folder.
        plugins: Where the preprocessor comes from.
        count: At most this many inputs.
        progress: Where to say what cannot be read.

    Raises:
        FileError: Nothing readable is there.
    """
    spec = plugins.get(PreprocessorSpec, contract.preprocess.component)
    preprocessor = spec.create(contract.preprocess.params, contract.inputs)
    shown = progress or Silent()
    return tuple(Calibration.choose(source, preprocessor=preprocessor, contract=contract, progress=shown, limit=count))
