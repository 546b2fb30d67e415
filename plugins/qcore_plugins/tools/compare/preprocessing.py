"""The second step: the same inputs through both preprocessors, or through one and a person's own code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from qcore.plugin import Arrays, Preprocessor, counted
from qcore_kit.abilities import HasExplanation
from qcore_kit.comparison.rung import Cause, Rung
from qcore_kit.reports import Table

OTHER_SHAPE, OTHER_PIXELS = "another tensor shape", "other pixels"
UNKNOWN = {OTHER_SHAPE, OTHER_PIXELS}
"""Causes that say that tensors differ, not why."""
EQUAL = 1e-6
"""Largest difference of equal inputs, as a part of the largest value: one rounding of float32 is 1.2e-7."""
STEP = 1.01 / 255
"""Largest difference that is only rounding: a step of the 8 bits that inputs were recorded with."""


def rung(
    reference: Preprocessor, other: Callable[[Any, Any], Any], inputs: Sequence[tuple[Any, Any]], who: str
) -> Rung:
    """The same inputs, value for value.

    Args:
        reference: Of the reference.
        other: (item, item as it was read) -> the tensor that is compared, or several by name.
        inputs: Pairs of those.
        who: Whose the tensor is, for the words.
    """
    rows: list[tuple[Any, ...]] = []
    causes: dict[str, Cause] = {}
    largest = 0.0
    for item, raw in inputs:
        for expected, given in _pairs(reference.prepare(raw).arrays, other(item, raw)):
            same_shape = given.shape == expected.shape
            apart = _apart(expected, given) if same_shape else float("inf")
            largest = max(largest, apart)
            if EQUAL < apart <= STEP:
                text = (
                    f"{who}: values differ by no more than a step of 8 bits, as where one rounds and the other does not"
                )
                causes.setdefault("rounding", Cause("rounding", text))
            elif apart > STEP:
                for cause in _causes(reference, raw, expected, given, who):
                    causes.setdefault(cause.name, cause)
            rows.append((str(item), list(expected.shape), list(given.shape), apart if same_shape else None))
    equal = largest <= EQUAL
    summary = f"{counted(len(inputs), 'input')} equal value for value" if equal else ", ".join(causes)
    columns = ("input", "REF", who, "largest difference")
    return Rung(
        "preprocessing",
        "pass" if equal else "note" if largest <= STEP else "fail",
        summary,
        tuple(causes.values()),
        f"largest difference {EQUAL:g} of the largest value; up to {STEP:.3f} is rounding",
        {"inputs": len(inputs), "largest_difference": largest if np.isfinite(largest) else None},
        [] if equal else [Table(columns, rows)],
    )


def _pairs(expected: Arrays, given: Any) -> Iterator[tuple[Any, Any]]:
    """The tensors side by side: by name, in order where the names differ; one array stands for the first."""
    others = given if isinstance(given, Mapping) else {next(iter(expected)): given}
    values = iter(others.values())
    for name, array in expected.items():
        if name in others or isinstance(given, Mapping):
            yield array, np.asarray(others[name] if name in others else next(values, np.empty(0)))


def _apart(expected: Any, given: Any) -> float:
    difference = np.abs(expected.astype(np.float64) - given.astype(np.float64)).max()
    if not np.isfinite(difference):
        return float("inf")
    return float(difference / max(float(np.abs(expected).max()), 1e-12))


def _causes(reference: Preprocessor, raw: Any, expected: Any, given: Any, who: str) -> list[Cause]:
    if given.dtype.kind == "f" and not np.isfinite(given).all():
        return [Cause("values that are no numbers", f"{who}: the tensor holds NaN or infinity")]
    told = reference.explain(raw, given) if isinstance(reference, HasExplanation) else ()
    causes = [Cause(name, f"{who}: {text}") for name, text in told]
    if not causes and given.shape != expected.shape:
        causes = [Cause(OTHER_SHAPE, f"{who}: {list(given.shape)} instead of {list(expected.shape)}")]
    return causes or [Cause(OTHER_PIXELS, f"{who}: the values differ, and no known variant of the preprocessing fits")]
