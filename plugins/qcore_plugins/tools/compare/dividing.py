"""A comparison in parts: the results of both models for some inputs in a file, the ladder from all of them together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qcore.plugin import FileError, Progress, Silent, UsageError, replacing, sha256
from qcore_kit import parts
from qcore_kit.comparison.protocols import Packs
from qcore_plugins.tools.compare.ladder import Begun, results
from qcore_plugins.tools.compare.side import Side


def write(
    begun: Begun, data: Any, place: int, count: int, file: str | os.PathLike[str], progress: Progress | None = None
) -> int:
    """Run one part of the inputs through both models and write the results; gives the number of inputs.

    Raises:
        UsageError: The evaluator of the task compares no results, or cannot keep them.
    """
    parts.require(place, count)
    task = _packing(begun)
    with replacing(Path(file)) as temporary:
        chosen = range(place - 1, len(begun.items), count)
        state = [
            [number, task.packed(left), task.packed(right)]
            for number, left, right in results(begun, chosen, progress or Silent())
        ]
        part = parts.Part(parts.VERSION, place, count, _identity(begun, data), *_ran(begun), state, "comparison")
        temporary.write_bytes(parts.encoded(part))
    return len(chosen)


def read(begun: Begun, data: Any, files: Sequence[str]) -> Mapping[int, tuple[Any, Any]]:
    """Place -> results of both models, of all parts.

    Raises:
        FileError: As `parts.read`; or a part holds no results, or those of another part's inputs.
        UsageError: As `write`.
    """
    task = _packing(begun)
    known: dict[int, tuple[Any, Any]] = {}
    for file, part in parts.read(files, "comparison", _identity(begun, data)).items():
        if (part.backend, part.executed_precision) != _ran(begun):
            raise FileError(
                f"{file}: ran on {part.backend} ({part.executed_precision}), this is {' ('.join(_ran(begun))})",
                hint="give the backends that the parts had",
            )
        places = range(part.part - 1, len(begun.items), part.of)
        try:
            own = {int(place): (task.unpacked(left), task.unpacked(right)) for place, left, right in part.state}
        except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
            raise FileError(f"{file}: not the results of two models") from error
        if strange := [place for place in own if place not in places]:
            raise FileError(f"{file}: input {strange[0]} is none of this part's")
        known |= own
    return known


def _packing(begun: Begun) -> Packs:
    if not isinstance(begun.task, Packs):
        raise UsageError("the results of these models cannot be compared in parts", hint="leave --part and --merge out")
    return begun.task


def _ran(begun: Begun) -> tuple[str, str]:
    """Where both ran, and in which precision."""
    both = [side.predictor for side in (begun.one, begun.other)]
    return ", ".join(each.backend for each in both), ", ".join(str(each.executed_precision) for each in both)


def _identity(begun: Begun, data: Any) -> dict[str, Any]:
    def side(one: Side) -> dict[str, Any]:
        contract = replace(one.predictor.contract, provenance={})
        return {"file": sha256(one.run.recipe.file), "contract": contract.to_json()}

    return {
        "reference": side(begun.one),
        "candidate": side(begun.other),
        "data": parts.data(data),
        "inputs": parts.names(begun.items),
    }
