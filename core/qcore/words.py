"""Numbers and suggestions in sentences."""

from __future__ import annotations

from collections.abc import Iterable


def counted(number: int, thing: str) -> str:
    """`1 input`, `2 inputs`; a thing that ends in s or x gets es."""
    if number == 1:
        return f"1 {thing}"
    return f"{number} {thing}{'es' if thing[-1] in 'sx' else 's'}"


def meant(word: str, names: Iterable[str]) -> str:
    """`; did you mean NAME?` where one of the names is close to a misspelt word, else nothing."""
    import difflib

    near = difflib.get_close_matches(word, list(names), n=1)
    return f"; did you mean {near[0]}?" if near else ""
