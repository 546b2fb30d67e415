"""Picture files: which there are, and reading one; videos and cameras are in `pictures.videos`."""

from __future__ import annotations

import warnings
from pathlib import Path

from qcore.plugin import AssumptionWarning, FileError, counted
from qcore_kit.folders import nearest
from qcore_kit.pictures import cocojson, datayaml, lists
from qcore_kit.pictures.folders import fitting, inside, nothing
from qcore_kit.pictures.kinds import SUFFIXES, VIDEO_SUFFIXES
from qcore_kit.pictures.reading import read

__all__ = ["SUFFIXES", "VIDEO_SUFFIXES", "inside", "listed", "read"]

SETS = lists.SUFFIXES | datayaml.SUFFIXES | cocojson.SUFFIXES
"""Files that name pictures."""


def listed(path: Path) -> list[Path]:
    """The files that a path, a folder, a pattern, or a file that names pictures stands for.

    A folder stands for the pictures below it, a pattern for every file that fits it; `**` is any depth of folders.
    Lists, data.yaml and COCO json stand for the pictures that they name; of a data.yaml, those of `train` if they are
    there, else those of `val`.

    Warns:
        AssumptionWarning: What was assumed about paths and splits.

    Raises:
        FileError: A path that is not there, or a folder, pattern or file that names no picture.
    """
    if path.is_dir():
        files = inside(path)
        if not files:
            raise nothing(path)
        return files
    if path.exists():
        return _named(path) if path.suffix.lower() in SETS else [path]
    first = next((place for place, part in enumerate(path.parts) if any(sign in part for sign in "*?[")), None)
    if first is not None:
        parts = path.parts[first:]
        pattern = (*parts, "*") if parts[-1] == "**" else parts
        files = fitting(Path(*path.parts[:first]), pattern)
        if files:
            return files
        raise FileError(f"{path}: no file fits this pattern", hint=f"looked in {Path(*path.parts[:first]).absolute()}")
    raise FileError(f"{path}: no such file or folder", hint=nearest(path))


def _named(path: Path) -> list[Path]:
    """Pictures that a file names."""
    suffix = path.suffix.lower()
    if suffix in datayaml.SUFFIXES:
        files, remarks = datayaml.pictures(path, datayaml.read(path), datayaml.CALIBRATION)
    elif suffix in cocojson.SUFFIXES:
        files, remarks = cocojson.pictures(path, cocojson.read(path))
    else:
        files, remarks = lists.in_list(path, path.parent)
    files, twice = lists.once(files, path)
    if not files:
        raise FileError(f"{path}: lists no images", hint="check the file")
    there = [file for file in files if file.exists()]
    missing = [file for file in files if not file.exists()]
    if not there:
        raise FileError(
            f"{path}: none of its images were found, e.g. {missing[0]}", hint="name the folder of the pictures instead"
        )
    if missing:
        twice.append(f"{path}: {counted(len(missing), 'missing picture')} skipped, e.g. {missing[0]}")
    for remark in (*remarks, *twice):
        warnings.warn(remark, AssumptionWarning, stacklevel=3)
    return there
