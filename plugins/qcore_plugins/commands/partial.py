"""Evaluating in parts: each part's results in a file, the figures from all of them together."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from qcore.plugin import (
    Contract,
    Evaluation,
    FileError,
    Judge,
    Run,
    Tally,
    UsageError,
    read_text,
    replacing,
    sha256,
)
from qcore_kit.abilities import Merges


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of one part.

    Attributes:
        qcore_part: Version of the layout, 1.
        part: Which one, from 1.
        of: How many there are.
        identity: What the figures depend on: SHA-256 of model and data, the contract with its parameters, the
            classes, the names of the inputs that are there.
        backend: Where it ran.
        executed_precision: That it computed in.
        state: As the tally gives it.
    """

    qcore_part: int
    part: int
    of: int
    identity: dict[str, Any]
    backend: str
    executed_precision: str
    state: Any


def share(text: str) -> tuple[int, int]:
    """`2/4` as (2, 4).

    Raises:
        UsageError: It is no such thing.
    """
    one, _, all_of_them = text.partition("/")
    if one.isdecimal() and all_of_them.isdecimal() and 1 <= int(one) <= int(all_of_them):
        return int(one), int(all_of_them)
    raise UsageError(f"--part {text}: expected K/N, e.g. 1/4 for the first of four parts")


def evaluated(run: Run, judge: Judge, place: int, count: int, file: str | os.PathLike[str]) -> int:
    """Evaluate one part and write its results; gives the number of its inputs.

    Raises:
        UsageError: The evaluator cannot merge.
    """
    with replacing(Path(file)) as temporary:  # opened first: a folder that cannot be written to is told at once
        predictor = run.predictor()
        tally, state = _opened(judge, run)
        places = range(place - 1, len(tally.items), count)
        judge.fill(tally, predictor, places)
        ran = predictor.backend, predictor.executed_precision
        part = Part(1, place, count, _identity(run, judge, tally), *ran, state.state())
        temporary.write_bytes(msgspec.json.encode(part))
    return len(places)


def merged(run: Run, judge: Judge, files: Sequence[str], sections: bool) -> Evaluation:
    """The evaluation of all parts together; nothing is run.

    Raises:
        FileError: A file is no part, or of another model, other data or another protocol; a part is missing, or twice.
        UsageError: The run names another backend than the parts ran on.
    """
    parts = {file: _read(file) for file in files}
    if len(parts) < len(files):
        twice = next(file for file in parts if list(files).count(file) > 1)
        raise FileError(f"{twice}: was evaluated already, it is named twice")
    (first, one), *others = parts.items()
    if run.recipe.backend and run.backend.name != one.backend:
        raise UsageError(
            f"the parts ran on {one.backend}, not on {run.backend.name}", hint="leave the backend out, or name theirs"
        )
    tally, state = _opened(judge, run)
    identity = _identity(run, judge, tally)
    if differing := [key for key in identity if one.identity.get(key) != identity[key]]:
        raise FileError(f"{first}: made with another {differing[0]}", hint="give the arguments that the parts had")
    for file, other in others:
        alike = ("identity", "of", "backend", "executed_precision")
        if differing := [key for key in alike if getattr(other, key) != getattr(one, key)]:
            raise FileError(f"{file}: its {differing[0]} is not that of {first}", hint="evaluate the parts alike")
    there = [part.part for part in parts.values()]
    if missing := sorted(set(range(1, one.of + 1)) - set(there)):
        raise FileError(
            f"part {missing[0]} of {one.of} is missing", hint=f"qcore eval --part {missing[0]}/{one.of} makes it"
        )
    for file, part in parts.items():
        try:
            state.merge(part.state)
        except FileError as error:
            raise FileError(f"{file}: {error.message}", hint=error.hint) from error
    contract = _contract(run)
    read = run.preprocessor(contract).read if sections else None
    return judge.conclusion(tally, contract, one.backend, one.executed_precision, run.recipe.protocol, read)


def _read(file: str) -> Part:
    try:
        part = msgspec.json.decode(read_text(file).encode(), type=Part)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FileError(f"{file}: not the results of a part ({error})", hint="qcore eval --part K/N -o FILE") from error
    if part.qcore_part != 1:
        raise FileError(f"{file}: written by a later qcore (layout {part.qcore_part}, this one reads 1)")
    return part


def _opened(judge: Judge, run: Run) -> tuple[Tally, Merges]:
    tally = judge.open(_contract(run))
    if not isinstance(tally, Merges):
        raise UsageError(
            f"the evaluator of the task {run.contract().task} cannot merge parts", hint="evaluate without --part"
        )
    return tally, tally


def _contract(run: Run) -> Contract:
    return run.contract().under(run.recipe.protocol, run.recipe.parameters)


def _identity(run: Run, judge: Judge, tally: Tally) -> dict[str, Any]:
    contract = replace(_contract(run), provenance={})
    return {
        "model": sha256(run.recipe.file),
        "data": sha256(Path(str(judge.data))),
        "contract": contract.to_json(),
        "classes": dict(judge.options.get("classes") or {}),
        "inputs": hashlib.sha256("\n".join(Path(str(item)).name for item in tally.items).encode()).hexdigest(),
    }
