"""Labels of a COCO json."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qcore.plugin import FileError, counted
from qcore_plugins.tasks.detection import coco_entries, oddities
from qcore_plugins.tasks.detection.coco_entries import Entry, Fault, key
from qcore_plugins.tasks.detection.labels import (
    CENTRE,
    CORNER,
    CORNERS,
    Labels,
    distinct,
    from_centre,
    from_corner,
    other_layout,
    outside,
)
from qcore_plugins.tasks.detection.oddities import Oddities

HINT = "--data takes COCO json (images, annotations, categories) or a YOLO data.yaml"
FORMAT = "COCO boxes are left, top, width, height in pixels"
ROUNDING = (0.51, 0.51, 1.01, 1.01)
"""Of whole pixels, on corner and size."""


class CocoLabels:
    """What a COCO json says about each of its images.

    Attributes:
        names: Names of its categories, in its order.
        images: Key of each image, in its order.
    """

    def __init__(self, path: Path, document: Mapping[str, Any], odd: Oddities) -> None:
        """Read and judge it.

        Args:
            path: Of the json, for messages.
            document: Its content, with a list of images.
            odd: Where what is odd is counted.

        Raises:
            FileError: It is none, or has annotations that cannot be labels.
        """
        self._path, self._odd = path, odd
        for part in ("annotations", "categories"):
            if not isinstance(document.get(part), list):
                raise FileError(f"{path}: not a COCO detection json (no list of {part})", hint=HINT)
        categories = self._unique("category", document["categories"], "name")
        images = self._unique("image", document["images"], "file_name")
        self.names = [str(name) for name in categories.values()]
        self.images = [key(entry["id"]) for entry in document["images"]]
        self._sizes = {key(entry["id"]): _size(entry) for entry in document["images"]}
        order = {name: place for place, name in enumerate(categories)}
        self._entries: dict[str, list[Entry]] = defaultdict(list)
        for entry in self._parsed(document["annotations"], order):
            if entry.image not in images:
                odd.add(oddities.STRAY, entry.name)
            elif min(entry.box[2:]) <= 0:
                odd.add(oddities.EMPTY, entry.name)
            else:
                self._entries[entry.image].append(entry)
        self._judge_layout()

    def size(self, image: str) -> tuple[float, float] | None:
        """Width and height that the json gives an image, or None."""
        return self._sizes[image]

    def labels(self, images: Sequence[str]) -> Labels:
        """The labels of one picture, which may be in the json under several ids."""
        entries = [entry for image in images for entry in self._entries[image]]
        labels = Labels(
            from_corner(_boxes(entries)),
            np.array([entry.kind for entry in entries], np.int64),
            np.array([entry.crowd for entry in entries], bool),
            np.array([entry.area for entry in entries], np.float64),
        )
        kept, near = distinct(labels, ROUNDING)
        if removed := sorted(set(range(len(entries))) - set(kept.tolist())):
            self._odd.add(oddities.DUPLICATES, entries[removed[0]].name, len(removed))
        self._odd.add(oddities.NEAR, f"image {images[0]}", near)
        labels = labels.chosen(kept)
        if (size := self._sizes[images[0]]) is not None:
            beyond = outside(labels.xyxy, np.array([size] * len(kept)).reshape(-1, 2))
            if beyond.any():
                self._odd.add(oddities.BEYOND, entries[int(kept[beyond.argmax()])].name, int(beyond.sum()))
        return labels

    def _unique(self, what: str, entries: Sequence[Any], field: str) -> dict[str, Any]:
        """Key -> name; an id may stand there twice, but not for two things."""
        things: dict[str, Any] = {}
        for place, entry in enumerate(entries):
            if not isinstance(entry, dict) or "id" not in entry or field not in entry:
                raise FileError(
                    f"{self._path}: not a COCO detection json ({what} {place} has no id or no {field})", hint=HINT
                )
            if things.setdefault(key(entry["id"]), entry[field]) != entry[field]:
                raise FileError(
                    f"{self._path}: {what} id {entry['id']!r} stands for {things[key(entry['id'])]} and {entry[field]}",
                    hint="renumber the ids if files were merged",
                )
        return things

    def _parsed(self, annotations: Sequence[Any], order: Mapping[str, int]) -> list[Entry]:
        entries, faults = [], []
        for place, annotation in enumerate(annotations):
            number = annotation.get("id", place) if isinstance(annotation, dict) else place
            try:
                entries.append(coco_entries.parse(annotation, f"annotation {number}", order))
            except Fault as fault:
                faults.append(str(fault))
        if faults:
            more = f" (and {counted(len(faults) - 1, 'more annotation')})" if len(faults) > 1 else ""
            raise FileError(f"{self._path}: {faults[0]}{more}", hint=FORMAT)
        return entries

    def _judge_layout(self) -> None:
        entries = [entry for listed in self._entries.values() for entry in listed]
        boxes = _boxes(entries)
        if len(boxes) and boxes.max() <= 1:
            raise FileError(f"{self._path}: its boxes are between 0 and 1, expected pixels", hint=FORMAT)
        sized = np.array([self._sizes[entry.image] is not None for entry in entries], bool)
        limits = np.array([self._sizes[entry.image] or (0, 0) for entry in entries], np.float64).reshape(-1, 2)
        judge_layout(self._path, boxes[sized], limits[sized])


def judge_layout(path: Path, boxes: np.ndarray, limits: np.ndarray) -> None:
    """Whether boxes `[N, 4]` are left, top, width, height, in pictures of `limits` `[N, 2]`, width and height.

    Raises:
        FileError: They clearly are something else.
    """
    others = {CORNERS: boxes, CENTRE: from_centre(boxes)}
    if written := other_layout(from_corner(boxes), limits, others):
        raise FileError(f"{path}: its boxes seem to be {written}; expected {CORNER}", hint=FORMAT)


def _boxes(entries: Sequence[Entry]) -> np.ndarray:
    return np.array([entry.box for entry in entries], np.float64).reshape(-1, 4)


def _size(entry: Mapping[str, Any]) -> tuple[float, float] | None:
    try:
        width, height = float(entry["width"]), float(entry["height"])
    except (KeyError, TypeError, ValueError):
        return None
    return (width, height) if width > 0 and height > 0 else None
