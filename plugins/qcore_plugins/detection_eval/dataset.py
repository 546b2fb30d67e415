"""Labelled pictures: COCO json, or YOLO data.yaml with label files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qcore.errors import FileError
from qcore.files import read_text
from qcore_plugins import classes, pictures


@dataclass(frozen=True)
class Labels:
    """What is in one picture.

    Attributes:
        xyxy: `[N, 4]` float64, pixels.
        class_id: `[N]`, index into the data's class names.
        crowd: `[N]`, whether the box stands for a group; finding it or not does not count.
        area: `[N]` in square pixels, for the size classes of COCO.
    """

    xyxy: np.ndarray
    class_id: np.ndarray
    crowd: np.ndarray
    area: np.ndarray


@dataclass(frozen=True)
class Item:
    """A picture and what says what is in it: an entry of the json, or a label file."""

    path: Path
    source: Any


class Dataset:
    """Pictures with labels; `names` are the classes of the data."""

    def __init__(self, names: list[str], items: list[Item]) -> None:
        self.names = names
        self.items = items

    def labels(self, item: Item, size: tuple[int, int]) -> Labels:
        """The labels of one picture of that height and width."""
        if isinstance(item.source, Path):
            return _yolo_labels(item.source, size, len(self.names))
        return _coco_labels(item.source)

    def __iter__(self) -> Iterator[Item]:
        """The pictures in a stable order."""
        return iter(self.items)


def read(data: str | Path, images: str | Path | None = None) -> Dataset:
    """Read labelled data.

    Args:
        data: COCO json, or data.yaml.
        images: Folder of the pictures; by default `images/` beside the json, or what data.yaml says.

    Raises:
        FileError: Not such data, or its pictures are not there.
    """
    path = Path(data)
    dataset = _yolo(path, images) if path.suffix.lower() in {".yaml", ".yml"} else _coco(path, images)
    if not dataset.items:
        raise FileError(f"{path}: it names no picture", hint="check the file")
    missing = [item.path for item in dataset.items if not item.path.exists()]
    if len(missing) == len(dataset.items):
        raise FileError(f"{path}: none of its pictures is there, e.g. {missing[0]}", hint="say where with --images DIR")
    return dataset


def _coco(path: Path, images: str | Path | None) -> Dataset:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        categories = {entry["id"]: entry["name"] for entry in document["categories"]}
        files = {entry["id"]: entry["file_name"] for entry in document["images"]}
        found: dict[Any, list[Mapping[str, Any]]] = {key: [] for key in files}
        order = {key: index for index, key in enumerate(categories)}
        for entry in document["annotations"]:
            if len([float(side) for side in entry["bbox"]]) != 4:
                raise ValueError(f"a bbox of annotation {entry.get('id')} has not 4 numbers")
            if entry["image_id"] in found:
                found[entry["image_id"]].append({**entry, "class": order[entry["category_id"]]})
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise FileError(
            f"{path}: not a COCO detection json ({type(error).__name__}: {error})",
            hint="--data takes COCO json (images, annotations, categories) or a YOLO data.yaml",
        ) from error
    folder = Path(images) if images else path.parent / "images"
    return Dataset(list(categories.values()), [Item(folder / name, found[key]) for key, name in files.items()])


def _coco_labels(entries: list[Mapping[str, Any]]) -> Labels:
    boxes = np.array([entry["bbox"] for entry in entries], np.float64).reshape(-1, 4)
    return Labels(
        np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), 1),
        np.array([entry["class"] for entry in entries], np.int64),
        np.array([bool(entry.get("iscrowd", 0)) for entry in entries], bool),
        np.array([entry.get("area", entry["bbox"][2] * entry["bbox"][3]) for entry in entries], np.float64),
    )


def _yolo(path: Path, images: str | Path | None) -> Dataset:
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        names = document["names"]
        split = images or document.get("val") or document["test"]
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise FileError(
            f"{path}: not a YOLO data.yaml ({type(error).__name__}: {str(error).splitlines()[0]})",
            hint="it needs the keys names and val",
        ) from error
    count = classes.number(document.get("nc"))
    hint = f"number the names in {path.name} from 0, without gaps"
    listed = classes.class_names(names, str(path), count=count, hint=hint)
    root = path.parent / str(document.get("path") or ".")
    folders = (
        [Path(images)] if images else [root / str(part) for part in (split if isinstance(split, list) else [split])]
    )
    files = [file for folder in folders for file in _files(folder, root)]
    return Dataset(listed, [Item(file, _label_file(file)) for file in files])


def _files(place: Path, root: Path) -> list[Path]:
    """Pictures of a folder, or of a text file that lists them."""
    if place.is_dir():
        return pictures.inside(place)
    if place.suffix == ".txt" and place.exists():
        return [root / line.strip() for line in place.read_text().splitlines() if line.strip()]
    raise FileError(f"{place}: no such folder of pictures", hint="say where with --images DIR")


def _label_file(picture: Path) -> Path:
    """`.../images/a.jpg` -> `.../labels/a.txt`, the last folder of that name counting; else beside the picture."""
    parts = list(picture.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            return Path(*parts[:index], "labels", *parts[index + 1 :]).with_suffix(".txt")
    return picture.with_suffix(".txt")


def _yolo_labels(path: Path, size: tuple[int, int], classes: int) -> Labels:
    """Lines `class cx cy w h`, or `class x y x y ...` for an outline, in parts of the picture's width and height."""
    rows, kinds = [], []
    lines = read_text(path).splitlines() if path.exists() and path.stat().st_size else []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            kind, *values = (float(word) for word in line.split())
            if not 0 <= kind < classes or len(values) < 4 or (len(values) > 4 and len(values) % 2):
                raise ValueError(line)
        except ValueError:
            raise FileError(f"{path}: line {number} is no label: {line.strip()[:60]}") from None
        if len(values) == 4:
            x, y, w, h = values
            rows.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
        else:
            rows.append((min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])))
        kinds.append(int(kind))
    xyxy = np.array(rows, np.float64).reshape(-1, 4) * (size[1], size[0], size[1], size[0])
    area = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    return Labels(xyxy, np.array(kinds, np.int64), np.zeros(len(kinds), bool), area)
