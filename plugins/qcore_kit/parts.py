"""Work in parts: what each gave lies in a file, and all of them together give what the whole would have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from qcore.plugin import FileError, UsageError, read_text, sha256

VERSION = 1


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of one part.

    Attributes:
        qcore_part: Version of the layout.
        part: Which one, from 1.
        of: How many there are.
        identity: What the result depends on, by name: models, data, contract, options.
        backend: Where it ran; empty where that is the quantizer's business.
        executed_precision: That it computed in; likewise.
        state: What came of it, as plain data.
        work: What was divided.
    """

    qcore_part: int
    part: int
    of: int
    identity: dict[str, Any]
    backend: str
    executed_precision: str
    state: Any
    work: Literal["evaluation", "comparison", "calibration"] = "evaluation"


def share(text: str) -> tuple[int, int]:
    """`2/4` as (2, 4).

    Raises:
        UsageError: It is no such thing.
    """
    one, _, all_of_them = text.partition("/")
    if one.isdecimal() and all_of_them.isdecimal() and 1 <= int(one) <= int(all_of_them):
        return int(one), int(all_of_them)
    raise UsageError(f"--part {text}: expected K/N, e.g. 1/4 for the first of four parts")


def require(place: int, count: int) -> None:
    """Refuse a part that is none; raises UsageError."""
    if not 1 <= place <= count:
        raise UsageError(f"place {place}: there are parts 1 to {count}")


def encoded(part: Part) -> bytes:
    """As it lies in its file."""
    return msgspec.json.encode(part)


def read(files: Sequence[str], work: str, identity: Mapping[str, Any] | None = None) -> dict[str, Part]:
    """All parts of a whole, by file.

    Args:
        files: Of all parts, in any order.
        work: What was divided.
        identity: That they have to have; that of the first by default.

    Raises:
        FileError: A file is no part, or of other work, another model, other data or options; a part is missing, or
            twice.
    """
    parts = {file: _read(file) for file in files}
    if len(parts) < len(files):
        twice = next(file for file in parts if list(files).count(file) > 1)
        raise FileError(f"{twice}: is named twice")
    (first, one), *_ = parts.items()
    wanted = dict(one.identity if identity is None else identity)
    for file, part in parts.items():
        if part.work != work:
            raise FileError(f"{file}: part of a {part.work}, not of a {work}")
        if differing := [key for key in wanted if part.identity.get(key) != wanted[key]]:
            raise FileError(f"{file}: made under other conditions ({differing[0]})", hint="give the parts' arguments")
        alike = ("of", "backend", "executed_precision")
        if differing := [key for key in alike if getattr(part, key) != getattr(one, key)]:
            raise FileError(f"{file}: its {differing[0]} is not that of {first}", hint="make all parts alike")
    places = [part.part for part in parts.values()]
    if twice_ := sorted(place for place in set(places) if places.count(place) > 1):
        raise FileError(f"part {twice_[0]} of {one.of} is there twice")
    if missing := sorted(set(range(1, one.of + 1)) - set(places)):
        raise FileError(f"part {missing[0]} of {one.of} is missing", hint=f"--part {missing[0]}/{one.of} makes it")
    return parts


def _read(file: str) -> Part:
    try:
        part = msgspec.json.decode(read_text(file).encode(), type=Part)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FileError(f"{file}: not the results of a part ({error})", hint="--part K/N writes one") from error
    if part.qcore_part != VERSION:
        raise FileError(f"{file}: written by a later qcore (layout {part.qcore_part}, this one reads {VERSION})")
    return part


def names(items: Iterable[Any]) -> str:
    """SHA-256 of the names of inputs, without their folders."""
    return hashlib.sha256("\n".join(Path(str(item)).name for item in items).encode()).hexdigest()


def data(source: Any) -> str:
    """SHA-256 of a file of labels; of anything else its name."""
    path = Path(str(source))
    return sha256(path) if path.is_file() else path.name
