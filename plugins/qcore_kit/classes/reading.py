"""Class names, in whatever shape a file keeps them: one reader for checkpoints, data.yaml, ONNX and OpenVINO files."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from qcore.plugin import AssumptionWarning, FileError, counted

SHOWN = 3
"""How many numbers or names an error lists."""


def class_names(value: Any, file: str, *, count: int | None = None, hint: str | None = None) -> list[str]:
    """The names in the order of their class numbers.

    Args:
        value: A list, tuple or array of names; a map from number to name, whose keys may be numbers of any kind, texts
            of numbers or a mixture; a map from name to number; pairs, or maps of one entry each; None for no names.
        file: What to name in errors.
        count: How many classes the model has; None where nothing says it.
        hint: For errors: how else names can be given.

    Returns:
        The names; an empty list where `value` holds none.

    Raises:
        FileError: Numbers that are missing, occur twice or are none; something else than names; another number of names
            than of classes.
    """
    entries = _entries(value, file, hint)
    numbers = [number for number, _ in entries]
    if twice := [number for number, times in Counter(numbers).items() if times > 1]:
        both = " and ".join(repr(name) for number, name in entries if number == twice[0])
        raise FileError(f"{file}: class {twice[0]} has two names, {both}", hint=hint)
    if numbers and sorted(numbers) != list(range(len(numbers))):
        raise FileError(f"{file}: {_gaps(numbers)}", hint=hint)
    names = [name for _, name in sorted(entries)]
    if count is not None and names and len(names) != count:
        raise FileError(f"{file}: {counted(len(names), 'class name')} for {counted(count, 'class')}", hint=hint)
    _remark(names, file)
    return names


def number(value: Any) -> int | None:
    """A whole number of any kind, or the text of one; None for anything else, truth values included."""
    if isinstance(value, str):
        text = value.strip().strip("'\"")
        return int(text) if text.isascii() and text.removeprefix("-").isdigit() else None
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        return None
    try:
        return int(value) if value == int(value) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _entries(value: Any, file: str, hint: str | None) -> list[tuple[int, str]]:
    """Number and name of each class."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return _mapped(list(value.items()), file, hint)
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise FileError(f"{file}: the class names are a {type(value).__name__}, not a list or a map", hint=hint)
    items = [item.tolist() if hasattr(item, "tolist") and not isinstance(item, str) else item for item in value]
    if items and all(isinstance(item, Mapping) and "name" in item for item in items):
        ids = [number(item.get("id")) for item in items]
        order = ids if set(ids) == set(range(len(items))) else range(len(items))
        return [(int(place or 0), _name(item["name"], file, hint)) for place, item in zip(order, items, strict=True)]
    if items and all(isinstance(item, Mapping) and len(item) == 1 for item in items):
        return _mapped([pair for item in items for pair in item.items()], file, hint)
    if items and all(isinstance(item, (list, tuple)) and len(item) == 2 for item in items):
        return _mapped([(key, name) for key, name in items], file, hint)
    return [(index, _name(item, file, hint)) for index, item in enumerate(items)]


def _mapped(pairs: list[tuple[Any, Any]], file: str, hint: str | None) -> list[tuple[int, str]]:
    """From number to name, or from name to number where only the names can be meant."""
    keys = [number(key) for key, _ in pairs]
    values = [number(value) for _, value in pairs]
    if any(key is None for key in keys) and all(place is not None for place in values):
        pairs = [(place, key) for place, (key, _) in zip(values, pairs, strict=True)]
        keys = values
    if (wrong := next((index for index, key in enumerate(keys) if key is None), None)) is not None:
        raise FileError(f"{file}: the class names have the key {pairs[wrong][0]!r}, which is not a number", hint=hint)
    return [(key, _name(name, file, hint)) for key, (_, name) in zip(keys, pairs, strict=True) if key is not None]


def _name(value: Any, file: str, hint: str | None) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if value is None or isinstance(value, (Mapping, list, tuple, set)):
        raise FileError(f"{file}: {value!r} is not a class name", hint=hint)
    return str(value)


def _gaps(numbers: list[int]) -> str:
    """What is wrong with numbers that are not 0, 1, 2, ..."""
    first, last = min(numbers), max(numbers)
    missing = sorted(set(range(min(first, 0), last + 1)) - set(numbers))
    told = f"class numbers run from {first} to {last}"
    if first < 0:
        return f"{told}, the first is 0"
    if len(missing) == first:
        return f"{told}, so class {', '.join(map(str, missing[:SHOWN]))} has no name; numbers begin with 0"
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    return f"{told}, without a name for {', '.join(map(str, missing[:SHOWN]))}{more}"


def _remark(names: list[str], file: str) -> None:
    """Say what is odd about the names and can still be right."""
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        at = [str(index) for index, name in enumerate(names) if name == repeated[0]]
        warnings.warn(
            f"{file}: classes {' and '.join(at[:SHOWN])} have the same name, {repeated[0]!r}",
            AssumptionWarning,
            stacklevel=3,
        )
    elif "" in [name.strip() for name in names]:
        empty = [name.strip() for name in names].index("")
        warnings.warn(f"{file}: class {empty} has an empty name", AssumptionWarning, stacklevel=3)
