"""Parameters of pre- and postprocessors: dataclasses whose names and types a contract is held to."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from qcore.plugin import UsageError

T = TypeVar("T")


def parse(cls: type[T], component: str, given: Mapping[str, Any]) -> T:
    """The parameters, every one known and of its type: what is not understood must not run as something else.

    Args:
        cls: A dataclass whose fields are annotated bool, int, float, str, `... | None`, or Any.
        component: What to call it in errors.
        given: From a contract.

    Raises:
        UsageError: An unknown name, or a value of another type.
    """
    known = {field.name: str(field.type) for field in fields(cls)}  # type: ignore[arg-type]
    if unknown := sorted(set(given) - set(known)):
        said = reprlib.repr(", ".join(unknown))[1:-1]
        raise UsageError(f"{component} has no parameter {said}", hint=f"it has: {', '.join(sorted(known))}")
    for name, value in given.items():
        if not _fits(value, known[name]):
            said = reprlib.repr(value)
            raise UsageError(f"{component}: {name} {said} is not a {known[name].replace(' | None', ' or None')}")
    return cls(**given)


def _fits(value: Any, kind: str) -> bool:
    if kind == "Any" or (value is None and kind.endswith("| None")):
        return True
    word = kind.removesuffix(" | None")
    if word == "bool" or isinstance(value, bool):
        return word == "bool" and isinstance(value, bool)
    kinds: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,)}
    return isinstance(value, kinds[word])
