"""Evaluating in parts: each part's results in a file, the figures from all of them together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qcore.plugin import (
    Contract,
    Evaluation,
    FileError,
    Judge,
    Run,
    Tally,
    UsageError,
    replacing,
    sha256,
)
from qcore_kit import parts
from qcore_kit.abilities import Merges


def evaluated(
    run: Run, judge: Judge, place: int, count: int, file: str | os.PathLike[str], limit: int | None = None
) -> int:
    """Evaluate one part, of the first `limit` inputs, and write its results; gives the number of its inputs.

    Raises:
        UsageError: The evaluator cannot merge.
    """
    parts.require(place, count)
    run = _measuring(run, judge)
    with replacing(Path(file)) as temporary:  # opened first: a folder that cannot be written to is told at once
        predictor = run.predictor()
        tally, state = _opened(judge, run)
        places = range(len(tally.items))[:limit][place - 1 :: count]
        judge.fill(tally, predictor, places)
        ran = predictor.backend, predictor.executed_precision
        part = parts.Part(parts.VERSION, place, count, _identity(run, judge, tally, limit), *ran, state.state())
        temporary.write_bytes(parts.encoded(part))
    return len(places)


def merged(run: Run, judge: Judge, files: Sequence[str], sections: bool, limit: int | None = None) -> Evaluation:
    """The evaluation of all parts together, of the first `limit` inputs; nothing is run.

    Raises:
        FileError: A file is no part, or of another model, other data or another protocol; a part is missing, or twice.
        UsageError: The run names another backend than the parts ran on.
    """
    run = _measuring(run, judge)
    tally, state = _opened(judge, run)
    read_parts = parts.read(files, "evaluation", _identity(run, judge, tally, limit))
    one = next(iter(read_parts.values()))
    if run.recipe.backend and run.backend.name != one.backend:
        raise UsageError(
            f"the parts ran on {one.backend}, not on {run.backend.name}", hint="leave the backend out, or name theirs"
        )
    for file, part in read_parts.items():
        try:
            state.merge(part.state)
        except FileError as error:
            raise FileError(f"{file}: {error.message}", hint=error.hint) from error
    contract = _contract(run)
    read = run.preprocessor(contract).read if sections else None
    return judge.conclusion(tally, contract, one.backend, one.executed_precision, run.recipe.protocol, read)


def _measuring(run: Run, judge: Judge) -> Run:
    """The run under the protocol that a whole evaluation has, too."""
    return run.vary(run.recipe.with_protocol(judge.protocol(run.contract(), run.recipe.protocol)))


def _opened(judge: Judge, run: Run) -> tuple[Tally, Merges]:
    tally = judge.open(_contract(run))
    if not isinstance(tally, Merges):
        raise UsageError(
            f"the evaluator of the task {run.contract().task} cannot merge parts", hint="evaluate without --part"
        )
    return tally, tally


def _contract(run: Run) -> Contract:
    return run.contract().under(run.recipe.protocol, run.recipe.parameters)


def _identity(run: Run, judge: Judge, tally: Tally, limit: int | None) -> dict[str, Any]:
    contract = replace(_contract(run), provenance={})
    return {
        "model": sha256(run.recipe.file),
        "data": sha256(Path(str(judge.data))),
        "contract": contract.to_json(),
        "classes": dict(judge.options.get("classes") or {}),
        "inputs": parts.names(tally.items[:limit]),
    }
