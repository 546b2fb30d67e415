"""The pictures of a YOLO data.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qcore.plugin import FileError
from qcore_kit.pictures import lists
from qcore_kit.pictures.folders import inside, nothing
from qcore_kit.pictures.places import Places, posix
from qcore_kit.pictures.texts import read_text

SUFFIXES = {".yaml", ".yml"}
EVALUATION = ("val", "valid", "validation", "test", "train")
CALIBRATION = ("train", "val", "valid", "validation", "test")
"""Splits by preference: a model should not be calibrated on the pictures it is measured on."""


def read(path: Path) -> Mapping[str, Any]:
    """The document.

    Raises:
        FileError: It is no mapping in YAML.
    """
    import yaml

    try:
        document = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise FileError(
            f"{path}: not a YOLO data.yaml ({getattr(error, 'problem', None) or 'not YAML'}{line})",
            hint="Windows paths stand without quotes, or in single ones"
            if "escape" in str(error)
            else "check that line",
        ) from error
    if not isinstance(document, Mapping):
        raise FileError(f"{path}: not a YOLO data.yaml", hint="it needs the keys names and val")
    return document


def pictures(path: Path, document: Mapping[str, Any], splits: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Pictures of the first of these splits that it names, and remarks about them.

    For calibration, a split whose folder is not there makes way for the next one.

    Raises:
        FileError: It names none, or their folders are not there.
    """
    named = [split for split in splits if document.get(split)]
    if not named:
        raise FileError(f"{path}: names no pictures", hint="add a key val (or test, or train)")
    root, remarks = _root(path, document)
    failed: FileError | None = None
    for split in named if splits == CALIBRATION else named[:1]:
        try:
            files, more = _split(path, root, document[split], split)
        except FileError as error:
            failed = failed or error
            continue
        if split != splits[0]:
            remarks.append(f"{path}: no pictures of {splits[0]}; those of {split} are used")
        return files, remarks + more
    assert failed is not None  # noqa: S101 - a loop over at least one split
    raise failed


def _root(path: Path, document: Mapping[str, Any]) -> tuple[Path, list[str]]:
    """The folder that `path:` names: relative to the file, the current directory, or upstream's `datasets` there."""
    given = document.get("path")
    if not given:
        return path.parent, []
    root = Places(path.parent, Path(), Path("datasets")).find(str(given))
    if root is not None and root.is_dir():
        return root, []
    return path.parent, [f"{path}: path {given} not found; using {path.parent} instead"]


def _split(path: Path, root: Path, value: Any, split: str) -> tuple[list[Path], list[str]]:
    parts = value if isinstance(value, list) else [value]
    files: list[Path] = []
    remarks: list[str] = []
    for part in parts:
        if not isinstance(part, str):
            raise FileError(f"{path}: {split}: expected folders or list files, got {part!r}", hint="check the file")
        place = _place(path, root, part)
        if place is None:
            raise FileError(
                f"{path}: {split}: {root / posix(part)}: no such folder of pictures",
                hint="set the image directory with --images DIR",
            )
        more, told = of_place(place, root)
        files += more
        remarks += told
    files, twice = lists.once(files, path)
    return files, remarks + twice


def _place(path: Path, root: Path, part: str) -> Path | None:
    """As written; else, as upstream does, without `../` and without the name of the folder where data.yaml lies."""
    if posix(part).startswith("/"):
        return Places(root, path.parent).find(part)
    whole = [name for name in posix(part).split("/") if name not in ("", ".")]
    inner = whole[next((place for place, name in enumerate(whole) if name != ".."), len(whole)) :]
    forms = [whole, inner]
    if inner and inner[0] in (root.resolve().name, path.parent.resolve().name):
        forms.append(inner[1:])
    for form in forms:
        for folder in (root, path.parent, Path()):
            if form and (there := Places(folder).below(folder, form)):
                return there
    return None


def of_place(place: Path, root: Path) -> tuple[list[Path], list[str]]:
    """Pictures of a folder, or of a text file that lists them, and remarks.

    Raises:
        FileError: It is neither, or holds none.
    """
    if place.is_dir():
        files = inside(place)
        if not files:
            raise nothing(place)
        return files, []
    if place.suffix.lower() in lists.SUFFIXES and place.exists():
        return lists.in_list(place, root)
    raise FileError(f"{place}: no such folder of pictures", hint="set the image directory with --images DIR")
