"""Numbers and suggestions in sentences, and values as plain data."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any


def counted(number: int, thing: str) -> str:
    """`1 input`, `2 inputs`; a thing that ends in s, x or ch gets es."""
    if number == 1:
        return f"1 {thing}"
    return f"{number} {thing}{'es' if thing.endswith(('s', 'x', 'ch')) else 's'}"


def meant(word: str, names: Iterable[str]) -> str:
    """`; did you mean NAME?` where one of the names is close to a misspelt word, else nothing."""
    import difflib

    near = difflib.get_close_matches(word, list(names), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def plain(value: Any) -> Any:  # noqa: PLR0911 - one line for each kind of value
    """What JSON has words for: arrays as lists, paths as text, NaN and infinity as null."""
    if is_dataclass(value) and not isinstance(value, type):
        held = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        return {"block": type(value).__name__.lower(), **held}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float):
        return value if value - value == 0 else None
    if value is None or isinstance(value, str | int):
        return value
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Sequence | set | frozenset):
        return [plain(each) for each in value]
    return str(value)
