"""Text files that list pictures, one path per line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qcore.plugin import FileError, counted
from qcore_kit.pictures.places import Places
from qcore_kit.pictures.texts import read_lines

SUFFIXES = {".list", ".lst", ".txt"}


def in_list(path: Path, root: Path) -> tuple[list[Path], list[str]]:
    """The pictures of a list, in its order, and remarks about them.

    Lines that begin with `./` are relative to the list; others to `root`, the list, or the current directory.

    Raises:
        FileError: It cannot be read, or lists nothing.
    """
    lines = [line.strip("\"'") for line in read_lines(path)]
    if not lines:
        raise FileError(f"{path}: lists no picture", hint="write one path per line")
    beside, below = Places(path.parent, root, Path()), Places(root, path.parent, Path())
    files = []
    for line in lines:
        places = beside if line.startswith(("./", ".\\")) else below
        files.append(places.find(line) or places.expected(line))
    return files, moved(path, beside, below)


def once(files: Sequence[Path], source: Path) -> tuple[list[Path], list[str]]:
    """Each file once, in the order of its first place, and a remark where that makes a difference."""
    kept = list(dict.fromkeys(files))
    more = len(files) - len(kept)
    return kept, [f"{source}: {counted(more, 'picture')} listed more than once, each is used once"] if more else []


def moved(source: Path, *all_places: Places) -> list[str]:
    """Remarks about paths that were found elsewhere than written."""
    counted_places = [(*place, count) for places in all_places for place, count in places.moved.items()]
    if not counted_places:
        return []
    beginning, root, _ = counted_places[0]
    total = sum(count for *_, count in counted_places)
    return [f"{source}: {counted(total, 'path')} not found as written, e.g. those in {beginning or '/'}: used {root}"]
