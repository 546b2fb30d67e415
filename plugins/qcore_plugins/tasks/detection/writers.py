"""Detections of many pictures as files: COCO results, YOLO txt."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path, PurePath
from typing import Any, Protocol

import msgspec
import numpy as np

from qcore.plugin import AssumptionWarning, FileError, UsageError, output_directory, replacing, require
from qcore_kit.boxes.detections import Detections
from qcore_kit.pictures.places import posix
from qcore_kit.pictures.texts import read_text
from qcore_kit.results import json_array


class Writer(Protocol):
    """Takes one picture's detections after another."""

    def add(self, name: str, picture: np.ndarray, found: Detections) -> None:
        """The detections of the picture of that name."""
        ...


class _Numbered:
    """Image ids without labelled data: the numbers that the names are, else 1, 2, ..."""

    def __init__(self, names: Sequence[str] | None, write: Any) -> None:
        stems = [PurePath(name).stem for name in names or ()]
        numeric = bool(stems) and all(stem.isascii() and stem.isdigit() for stem in stems)
        self._numeric = numeric and len({int(stem) for stem in stems}) == len(stems)
        self._write, self._count = write, 0

    def __call__(self, name: str, picture: np.ndarray) -> int:
        self._count += 1
        number = int(PurePath(name).stem) if self._numeric else self._count
        height, width = picture.shape[:2]
        self._write({"id": number, "file_name": name, "width": width, "height": height})
        return number


class _Known:
    """Image ids of labelled data, by file name."""

    def __init__(self, data: Path, images: Sequence[Mapping[str, Any]]) -> None:
        self._data = data
        self._images: dict[str, list[Mapping[str, Any]]] = {}
        for entry in images:
            self._images.setdefault(_path(entry).name, []).append(entry)

    def __call__(self, name: str, _: np.ndarray) -> Any:
        parts = PurePath(name).parts
        named = self._images.get(parts[-1], [])
        fitting = [entry for entry in named if _path(entry).parts == parts[-len(_path(entry).parts) :]]
        chosen = fitting or named
        if len(chosen) != 1:
            problem = "has no picture of this name" if not chosen else "has several pictures of this name"
            raise FileError(f"{name}: {self._data} {problem}", hint="run on the pictures that it names")
        return chosen[0]["id"]


def _path(entry: Mapping[str, Any]) -> PurePath:
    return PurePath(posix(entry["file_name"]))


class _Coco:
    def __init__(self, number: Any, categories: Mapping[int, int], write: Any) -> None:
        self._number, self._categories, self._write = number, categories, write

    def add(self, name: str, picture: np.ndarray, found: Detections) -> None:
        for row in found.to_coco(self._number(name, picture), self._categories):
            rounded = {"bbox": [round(side, 3) for side in row["bbox"]], "score": round(row["score"], 6)}
            self._write({**row, **rounded})


@contextmanager
def coco(path: Path, inputs: Sequence[str] | None, data: Path | None, *, names: Sequence[str]) -> Iterator[Writer]:
    """COCO results in one file.

    With labelled data, image ids are those of its pictures of that file name, category ids those of its classes of that
    name. Without it, `NAME.images.json` beside the file has the pictures and categories that the ids stand for.

    Args:
        path: Of the file.
        inputs: Names of all pictures, or None where they are not known beforehand.
        data: COCO json.
        names: Classes of the model.

    Raises:
        FileError: The data is no COCO json; when adding, a picture that it does not have.
        UsageError: It has no class of the model.
    """
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; COCO results are one file", hint=f"-o {path / 'results.json'}")
    if data is not None:
        images, categories = _read(data, names)
        beside: Any = nullcontext()
    else:
        images, categories = None, {index: index + 1 for index in range(len(names))}
        listed = json.dumps([{"id": index + 1, "name": name} for index, name in enumerate(names)], ensure_ascii=False)
        opening = f'{{"categories": {listed},\n"annotations": [],\n"images": ['
        beside = json_array(path.with_name(f"{path.stem}.images.json"), opening, "]}")
    with beside as write_image, json_array(path) as write:
        number = _Numbered(inputs, write_image) if data is None else _Known(data, images or [])
        yield _Coco(number, categories, write)


class _Image(msgspec.Struct):
    id: Any
    file_name: str


class _Category(msgspec.Struct):
    id: Any
    name: Any


class _Data(msgspec.Struct):
    """What is read of labelled data."""

    images: list[_Image]
    categories: list[_Category]


def _read(data: Path, names: Sequence[str]) -> tuple[Sequence[Mapping[str, Any]], dict[int, int]]:
    text = read_text(require(data))
    try:
        document = msgspec.json.decode(text.encode("utf-8", "surrogatepass"), type=_Data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        said, _, place = str(error).replace("`", "").partition(" - at $.")
        where = f"{place}: " if place else ""
        raise FileError(
            f"{data}: not a COCO json: {where}{said[:1].lower()}{said[1:]}",
            hint="--data takes COCO json (images, categories) here",
        ) from error
    images = [{"id": image.id, "file_name": image.file_name} for image in document.images]
    there = {str(category.name): category.id for category in document.categories}
    categories = {index: there[name] for index, name in enumerate(names) if name in there}
    if not categories:
        raise UsageError(
            f"the model ({', '.join(names[:5])}) and {data} ({', '.join(list(there)[:5])}) have no class in common",
            hint="leave --data out, and number the classes yourself",
        )
    if lacking := [name for name in names if name not in there]:
        listed = ", ".join(lacking[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
        left_out = f"classes of the model that {data} does not have are left out: {listed}"
        warnings.warn(left_out, AssumptionWarning, stacklevel=2)
    return images, categories


class _Yolo:
    def __init__(self, folder: Path, inputs: Sequence[str] | None, confidence: bool) -> None:
        self._folder, self._confidence, self._taken = folder, confidence, set[PurePath]()
        parents = [str(PurePath(name).parent) for name in inputs or ()]
        rooted = {PurePath(parent).is_absolute() for parent in parents}
        self._root = os.path.commonpath(parents) if len(rooted) == 1 else None

    def add(self, name: str, picture: np.ndarray, found: Detections) -> None:
        height, width = picture.shape[:2]
        left, top, right, bottom = (found.xyxy.astype(np.float64) / (width, height, width, height)).T
        columns = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
        rows = np.stack([*columns, *([found.confidence] if self._confidence else [])], 1)
        lines = [
            " ".join((str(int(kind)), *(f"{value:.6f}" for value in row)))
            for kind, row in zip(found.class_id, rows, strict=True)
        ]
        with replacing(self._folder / self._file(name)) as path:
            path.write_text("".join(f"{line}\n" for line in lines))

    def _file(self, name: str) -> PurePath:
        """`a/b.jpg` -> `a/b.txt`, frame 12 of `clip.mp4` -> `clip_12.txt`; a second one of a name gets a number.

        Folders are those below what all inputs have in common, as training wants labels beside `images/`.
        """
        head, mark, number = name.rpartition("#")
        stem = f"{PurePath(head).stem}_{number}" if mark and number.isdigit() else PurePath(name).stem
        below = PurePath(name).parent.relative_to(self._root) if self._root is not None else PurePath()
        file, count = below / stem, 1
        while file in self._taken:
            count += 1
            file = below / f"{stem}-{count}"
        self._taken.add(file)
        return file.with_name(f"{file.name}.txt")


@contextmanager
def yolo(path: Path, inputs: Sequence[str] | None, data: Path | None, *, confidence: bool = True) -> Iterator[Writer]:
    """YOLO txt: a folder with a file for each picture, lines `class x y width height confidence` in parts of its sides.

    x and y are of the box's centre. A picture in which nothing was found has an empty file. Without the confidence the
    files are labels: they can be trained with and evaluated on.

    Raises:
        FileError: The folder cannot be written to.
        UsageError: Labelled data was given: there are no ids to take from it.
    """
    if data is not None:
        raise UsageError("YOLO txt has no ids that --data could give", hint="leave --data out")
    yield _Yolo(output_directory(path), inputs, confidence)
