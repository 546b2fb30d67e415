"""Labelled pictures: COCO json, or YOLO data.yaml with label files."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from qcore.plugin import FileError, UsageError
from qcore_kit.classes import reading as classes
from qcore_kit.classes import text
from qcore_kit.pictures import cocojson, datayaml, lists
from qcore_plugins.tasks.detection import oddities
from qcore_plugins.tasks.detection.coco import FORMAT, CocoLabels, judge_layout
from qcore_plugins.tasks.detection.coco_entries import Fault
from qcore_plugins.tasks.detection.label_files import LabelFiles
from qcore_plugins.tasks.detection.labels import Labels, outside
from qcore_plugins.tasks.detection.oddities import Oddities

__all__ = ["Dataset", "Item", "Labels", "read"]


@dataclass(frozen=True)
class Item:
    """A picture and what is in it.

    Attributes:
        path: Of the picture.
        labels: In pixels, or in fractions of the picture's sides where `size` is None.
        size: Width and height that the labels are made for; (0, 0) where the data does not say.
    """

    path: Path
    labels: Labels
    size: tuple[float, float] | None


NOTHING = Labels(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0))


class Dataset:
    """Pictures with labels; `names` are the classes of the data, `oddities` what is odd about it."""

    def __init__(self, names: Sequence[str], items: Sequence[Item], odd: Oddities) -> None:
        self.names = list(dict.fromkeys(names))
        places = np.array([self.names.index(name) for name in names], np.int64)
        self.items = [replace(item, labels=_renumbered(item.labels, places)) for item in items]
        self.oddities = odd
        self._unsized: list[tuple[np.ndarray, tuple[int, int]]] = []

    def labels(self, item: Item, size: tuple[int, int]) -> Labels:
        """The labels of one picture of that height and width, in its pixels."""
        height, width = size
        labels = item.labels
        if item.size is None:
            area = labels.area * (width * height)
            labels = Labels(labels.xyxy * (width, height, width, height), labels.class_id, labels.crowd, area)
        elif item.size not in {(0, 0), (width, height)}:
            example = f"{item.path} is {width}x{height}, not {item.size[0]:g}x{item.size[1]:g}"
            self.oddities.add(oddities.RESIZED, example)
        elif item.size == (0, 0):
            self._unsized += [(box, (width, height)) for box in labels.xyxy]
        most = int(np.bincount(labels.class_id).max(initial=0))
        self.oddities.add(oddities.CROWDED, f"{most} in {item.path}", int(most > self.oddities.counted))
        sides = labels.xyxy[:, 2:] - labels.xyxy[:, :2]
        self.oddities.add(oddities.TINY, f"in {item.path}", int((sides.max(1, initial=0) < 1).sum()))
        return labels

    def finish(self) -> None:
        """Judge what only the sizes of the pictures show, when all labels were taken; then tell of it.

        Raises:
            FileError: Boxes of a COCO json that were written in another layout.
        """
        if self._unsized:
            xyxy, limits = (np.array(part, np.float64) for part in zip(*self._unsized, strict=True))
            judge_layout(self.oddities.source, np.concatenate((xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]), 1), limits)
            beyond = outside(xyxy, limits)
            self.oddities.add(oddities.BEYOND, "in the pictures that the json gives no size", int(beyond.sum()))
        self.oddities.tell()

    def __iter__(self) -> Iterator[Item]:
        """The pictures in a stable order."""
        return iter(self.items)


def counted(most: int) -> int:
    """Detections of one class in one picture that AP is to count; UsageError below 1."""
    if most < 1:
        raise UsageError(f"--max-detections {most} is not a positive number")
    return most


def read(data: str | Path, images: str | Path | None = None, most: int = oddities.COUNTED) -> Dataset:
    """Read labelled data.

    Args:
        data: COCO json, or data.yaml.
        images: Folder of the pictures; by default `images/` beside the json, or what data.yaml says.
        most: Detections of one class in one picture that AP counts; pictures of more labels are told.

    Warns:
        AssumptionWarning: What is odd about it, a line for each kind.

    Raises:
        FileError: Not such data, labels that cannot be, or its pictures are not there.
    """
    path, folder = Path(data), Path(images) if images else None
    try:
        dataset = _yolo(path, folder) if path.suffix.lower() in datayaml.SUFFIXES else _coco(path, folder)
    except OSError as error:  # of a name that no file can have
        said = f"{error.strerror}: {reprlib.repr(error.filename)}"
        raise FileError(f"{path}: {said}", hint="check the paths in it") from error
    dataset.oddities.counted = most
    if not dataset.items:
        raise FileError(f"{path}: lists no images", hint="check the file")
    missing = [item.path for item in dataset.items if not item.path.exists()]
    if len(missing) == len(dataset.items):
        raise FileError(
            f"{path}: none of its images were found, e.g. {missing[0]}",
            hint="set the image directory with --images DIR",
        )
    if missing:
        dataset.oddities.add(oddities.ABSENT, str(missing[0]), len(missing))
    dataset.oddities.tell()
    return dataset


def _coco(path: Path, images: Path | None) -> Dataset:
    document = cocojson.read(path)
    odd = Oddities(path)
    try:
        labels = CocoLabels(path, document, odd)
    except Fault as fault:
        raise FileError(f"{path}: {fault}", hint=FORMAT) from fault
    files, remarks = cocojson.pictures(path, document, images)
    odd.remark(*remarks)
    keys: dict[Path, list[str]] = {}
    for file, key in zip(files, labels.images, strict=True):
        keys.setdefault(file, []).append(key)
    keys = {file: list(dict.fromkeys(same)) for file, same in keys.items()}
    odd.remark(*lists.once(files, path)[1])
    items = [Item(file, labels.labels(found), labels.size(found[0]) or (0, 0)) for file, found in keys.items()]
    return Dataset(labels.names, items, odd)


def _yolo(path: Path, images: Path | None) -> Dataset:
    document = datayaml.read(path)
    names = _names(path, document)
    odd = Oddities(path)
    files, remarks = (
        datayaml.of_place(images, path.parent) if images else datayaml.pictures(path, document, datayaml.EVALUATION)
    )
    odd.remark(*remarks)
    reader = LabelFiles(names, odd, _keypoints(document))
    moved = path.parent / str(document.get("val")) if images else None
    items = []
    for file in files:
        elsewhere = moved / file.relative_to(images) if moved and images and file.is_relative_to(images) else None
        items.append(Item(file, reader.read(file, elsewhere) if file.exists() else NOTHING, None))
    reader.finish(path)
    return Dataset(names, items, odd)


def _keypoints(document: Mapping[str, Any]) -> int:
    """How many numbers stand behind a box where the labels are of poses."""
    shape = document.get("kpt_shape")
    return int(np.prod(shape)) if isinstance(shape, list) and all(isinstance(size, int) for size in shape) else 0


def _names(path: Path, document: Mapping[str, Any]) -> list[str]:
    names = document.get("names")
    if isinstance(names, str) and (file := path.parent / names).is_file():
        return text.from_file(file)
    count = classes.number(document.get("nc"))
    hint = f"number the names in {path.name} from 0, without gaps"
    names_found = classes.class_names(names, str(path), count=count, hint=hint)
    if not names_found:
        raise FileError(f"{path}: not a YOLO data.yaml (no names)", hint="it needs the keys names and val")
    return names_found


def _renumbered(labels: Labels, places: np.ndarray) -> Labels:
    """Labels with the classes' places among distinct names."""
    return Labels(labels.xyxy, places[labels.class_id], labels.crowd, labels.area)
