"""Folders of results, asked for before the long work and made when there is something to put into them."""

from __future__ import annotations

import difflib
import os
import shutil
import tempfile
from pathlib import Path

from qcore.plugin import FileError


def writable(path: str | os.PathLike[str]) -> Path:
    """The folder, which can be made and written to; nothing is made yet, so that a failure leaves nothing behind.

    What runs that were killed have left in it goes: see `sweep`.

    Raises:
        FileError: It cannot be.
    """
    folder = Path(path)
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    try:
        if not there.is_dir():
            raise NotADirectoryError(20, "Not a directory")
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise FileError(f"{folder}: cannot be written to ({error.strerror})", hint="choose another folder") from error
    sweep(folder)
    return folder


def sweep(folder: Path) -> None:
    """Remove temporary files and folders `.qcore-PID-...` of processes that are gone, such as killed ones."""
    for left in folder.glob(".qcore-*-*"):
        number = left.name.split("-")[1]
        if number.isdecimal() and not _runs(int(number)):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def require_source(text: str, flag: str) -> None:
    """Refuse inputs that are not there, before anything is loaded: a path without wildcards that leads nowhere.

    Args:
        text: As it was typed: a folder, a file, a pattern, the number of a camera, an address.
        flag: That it was given as, for the error.

    Raises:
        FileError: Nothing is there.
    """
    special = any(mark in text for mark in "*?[") or "://" in text or text.isdecimal()
    if not special and not Path(text).exists():
        raise FileError(f"{flag} {text}: no such file or folder", hint=nearest(text))


def nearest(path: str | os.PathLike[str]) -> str:
    """A hint for a path that leads nowhere: what its folder holds of nearly that name, or where it was looked for."""
    file = Path(path).absolute()
    there = next(each for each in file.parents if each.is_dir())
    missing = file.relative_to(there).parts[0]
    try:
        near = difflib.get_close_matches(missing, [each.name for each in there.iterdir()], n=1)
    except OSError:
        near = []
    return f"did you mean {there / near[0]}?" if near else f"{there} has no {missing}"
