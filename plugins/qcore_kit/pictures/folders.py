"""Files below a folder, through links, without what file managers and editors leave there."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from qcore.plugin import AssumptionWarning, FileError, counted
from qcore_kit.pictures.kinds import SUFFIXES, UNREAD, VIDEO_SUFFIXES, is_picture, is_video

LEFT_OUT = {
    "#recycle", "#snapshot", "$recycle.bin", "@eadir", "@recently-snapshot", "@recycle", "__macosx", "lost+found",
    "system volume information",
}  # fmt: skip
"""Folders of file servers and archives; others of the kind begin with a dot."""


def inside(folder: Path) -> list[Path]:
    """Every picture below a folder, sorted; links are followed, hidden files and folders are left out.

    Warns:
        AssumptionWarning: Pictures of kinds that are not read, videos, and links that lead nowhere.

    Raises:
        FileError: A folder that cannot be read.
    """
    files, unread, broken, videos = [], Counter[str](), [], list[Path]()
    for file in walk(folder):
        if file.is_symlink() and not file.exists():
            broken.append(file)
        elif is_picture(file):
            files.append(file)
        elif file.suffix.lower() in VIDEO_SUFFIXES and is_video(file):
            videos.append(file)
        elif file.suffix.lower() in UNREAD:
            unread[file.suffix.lower()] += 1
    if files and unread:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(unread.items()))
        text = f"{folder}: files of kinds that cannot be read are left out: {kinds}"
        warnings.warn(text, AssumptionWarning, stacklevel=2)
    if files and videos:
        text = f"{folder}: {counted(len(videos), 'video')} left out; name them, e.g. {videos[0]}"
        warnings.warn(text, AssumptionWarning, stacklevel=2)
    if broken:
        text = f"{folder}: {counted(len(broken), 'link')} without a target left out, e.g. {broken[0]}"
        warnings.warn(text, AssumptionWarning, stacklevel=2)
    return sorted(files)


def walk(folder: Path) -> Iterator[Path]:
    """Files below a folder, and links without a target; no folder is entered twice, however many links lead there."""
    seen: set[tuple[int, int]] = set()
    real, linked = [str(folder)], list[str]()
    while real or linked:
        current = real.pop() if real else linked.pop(0)  # links last, so that a folder keeps its own name
        try:
            status = Path(current).stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError as error:
            raise FileError(
                f"{current}: cannot be read ({error.strerror})", hint="check its permissions, or move it elsewhere"
            ) from error
        for entry in entries:
            if hidden(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                real.append(entry.path)
            elif entry.is_dir():
                linked.append(entry.path)
            elif entry.is_file() or entry.is_symlink():
                yield Path(entry.path)


def hidden(name: str) -> bool:
    """Whether a name is one that no person gave a picture or a folder of pictures."""
    return name.startswith(".") or name.lower() in LEFT_OUT


def fitting(base: Path, pattern: Sequence[str]) -> list[Path]:
    """Files below a folder whose path fits a pattern, part by part; `**` is any depth of folders. Sorted."""
    if "**" in pattern:
        depth = len(base.parts)
        return sorted(file for file in walk(base) if file.is_file() and _fits(file.parts[depth:], pattern))
    return sorted(file for file in _level(base, pattern) if file.is_file())


def _level(folder: Path, pattern: Sequence[str]) -> Iterator[Path]:
    """What fits a pattern without `**`."""
    if not pattern:
        yield folder
        return
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError:
        return
    for name in names:
        if fnmatchcase(name, pattern[0]) and (pattern[0].startswith(name[0]) or not hidden(name)):
            yield from _level(folder / name, pattern[1:])


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[count:], pattern[1:]) for count in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def nothing(folder: Path) -> FileError:
    """What is wrong with a folder without a picture."""
    kinds = {file.suffix.lower() for file in walk(folder)}
    hint = f"pictures end with {' '.join(sorted(SUFFIXES))}"
    if kinds & VIDEO_SUFFIXES:
        hint = f"there are videos: name them, e.g. '{folder}/*.mp4'"
    elif kinds & UNREAD:
        hint = f"convert {' '.join(sorted(kinds & UNREAD))} to .jpg or .png"
    return FileError(f"{folder}: no picture in this folder", hint=hint)
