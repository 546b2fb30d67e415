"""Files by paths that were written on another machine."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

DRIVE = re.compile(r"^(//\?/)?[A-Za-z]:(?=/)")
PATIENCE = 20
"""After so many paths without any file, no further one is searched for."""


class Places:
    """Finds files and folders by relative paths, Windows paths, and absolute paths of another machine.

    Names may differ in case and in how Unicode composes their letters: archives change both.

    Attributes:
        roots: Folders that a path may be relative to, the likeliest first.
        moved: (beginning that is not here, folder that takes its place) -> how many paths were found so.
    """

    def __init__(self, *roots: Path) -> None:
        self.roots = tuple(dict.fromkeys(roots))
        self.moved: Counter[tuple[str, Path]] = Counter()
        self._beginnings: dict[tuple[str, ...], Path] = {}
        self._in_vain = 0
        self._listing = cache(_listing)

    def find(self, text: str) -> Path | None:
        """The file or folder, or None. Beginnings that are not here are dropped until the rest is below a root."""
        for form in dict.fromkeys((text, posix(text))):
            for path in (root / form for root in self.roots):
                if _exists(path):
                    return path
        parts = [part for part in posix(text).split("/") if part not in ("", ".")]
        if not posix(text).startswith("/"):
            for root in self.roots:
                if there := self.below(root, parts):
                    return there
        return self._elsewhere(parts)

    def expected(self, text: str) -> Path:
        """Where it would be if it were there."""
        return self.roots[0] / posix(text)

    def _elsewhere(self, parts: Sequence[str]) -> Path | None:
        """Paths with one beginning are below one folder, so that no two of them become one."""
        dropped = range(len(parts) - 1, -1, -1)
        known = [(count, self._beginnings.get(tuple(parts[:count]))) for count in dropped]
        tried = [(count, root) for count, root in known if root]
        if not tried and self._in_vain < PATIENCE:
            tried = [(count, root) for count in range(len(parts)) for root in self.roots]
        for count, root in tried:
            if there := self.below(root, parts[count:]):
                self._beginnings[tuple(parts[:count])] = root
                self.moved["/".join(parts[:count]), root] += 1
                return there
        self._in_vain += 1
        return None

    def below(self, root: Path, parts: Sequence[str]) -> Path | None:
        """The file or folder of these parts below a folder, or None."""
        current = root
        for part in parts:
            path = current / part
            named = path if _exists(path) else self._listing(current).get(_key(part))
            if named is None:
                return None
            current = named
        return current


def posix(text: str) -> str:
    """A path with `/` and without a drive, where it is one of Windows."""
    return DRIVE.sub("", text.replace("\\", "/"))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or no name
        return False


def _key(name: str) -> str:
    raw = name.encode("utf-8", "surrogateescape")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return unicodedata.normalize("NFC", text).casefold()


def _listing(folder: Path) -> dict[str, Path]:
    try:
        return {_key(entry.name): Path(entry.path) for entry in os.scandir(folder)}
    except OSError:
        return {}
