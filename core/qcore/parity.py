"""Parity: what a written model gives on its runtime, against what the quantized network should give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from qcore.errors import CheckFailed
from qcore.judging import evaluator
from qcore.manager import Plugins
from qcore.model import Model
from qcore.pipelines import predictor
from qcore.predictor import assembled
from qcore.progress import Silent
from qcore.protocols import Progress
from qcore.specs import BackendSpec

INPUTS = 24
"""How many inputs are compared."""


def check(
    model: Model,
    backend: BackendSpec,
    inputs: Sequence[Any],
    *,
    plugins: Plugins,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any] | None:
    """Run inputs through a quantized model on its runtime and through its reference.

    Args:
        model: As it is written.
        backend: What runs it.
        inputs: What the preprocessor reads; the first `INPUTS` are used.
        plugins: Where components come from.
        options: Of the backend.
        progress: Shown over the inputs.

    Returns:
        The evaluator's figures of agreement, or None where the model has no reference or the evaluator no such figures.

    Raises:
        CheckFailed: They disagree.
    """
    if model.reference is None:
        return None
    judge = evaluator(model.contract.task, plugins).create()
    if not hasattr(judge, "agreement"):
        return None
    candidate = predictor(model, backend, plugins=plugins, options=options)
    reference = assembled(model.contract, model.reference(), "reference", plugins=plugins)
    chosen = list(inputs)[:INPUTS]

    def pairs() -> Iterator[tuple[Any, Any]]:
        both: Iterable[tuple[Any, Any]] = zip(reference.stream(chosen), candidate.stream(chosen), strict=True)
        yield from (progress or Silent()).track(both, f"parity on {backend.name}", len(chosen))

    found: dict[str, Any] = {"inputs": len(chosen), "backend": backend.name, **judge.agreement(pairs())}
    if not found["agree"]:
        raise CheckFailed(
            f"the quantized file on {backend.name} does not give what the quantized network gives: {found['summary']}",
            hint="nothing was written; leave the layers that differ float with --exclude, or use another backend",
        )
    return found
