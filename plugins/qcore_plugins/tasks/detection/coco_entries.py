"""One annotation of a COCO json."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Fault(ValueError):
    """Why an annotation cannot be a label."""


@dataclass(frozen=True)
class Entry:
    """A label.

    Attributes:
        name: What to call the annotation.
        image: Key of its image.
        kind: Place of its category in the json.
        box: Left, top, width, height in pixels.
        crowd: Whether it stands for a group.
        area: In square pixels.
    """

    name: str
    image: str
    kind: int
    box: tuple[float, float, float, float]
    crowd: bool
    area: float


def key(value: Any) -> str:
    """An id that is the same as text and as a number: tools write both."""
    if isinstance(value, (dict, list, type(None), bool)):
        raise Fault(f"id {reprlib.repr(value)} is neither a number nor text")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def parse(entry: Any, name: str, categories: Mapping[str, int]) -> Entry:
    """The label that an annotation is.

    Raises:
        Fault: It cannot be one.
    """
    if not isinstance(entry, dict):
        raise Fault(f"{name} is not an object")
    for field in ("image_id", "category_id"):
        if field not in entry:
            raise Fault(f"{name} has no {field}")
    kind = categories.get(key(entry["category_id"]))
    if kind is None:
        raise Fault(f"{name}: category_id {reprlib.repr(entry['category_id'])} is not among the categories")
    x, y, width, height = _box(entry, name)
    area = _number(entry.get("area"))
    return Entry(
        name,
        key(entry["image_id"]),
        kind,
        (x, y, width, height),
        bool(_number(entry.get("iscrowd")) or 0),
        area if area is not None and area > 0 else width * height,
    )


def _box(entry: Mapping[str, Any], name: str) -> list[float]:
    box = entry.get("bbox")
    if not box and entry.get("segmentation"):
        return _around(entry["segmentation"], name)
    if not isinstance(box, list) or len(box) != 4:
        raise Fault(f"{name}: bbox {str(box)[:60]} has not 4 numbers")
    try:
        numbers = [float(side) for side in box]
    except (TypeError, ValueError):
        raise Fault(f"{name}: bbox {box} has not 4 numbers") from None
    if not all(map(math.isfinite, numbers)):
        raise Fault(f"{name}: bbox {box} is not finite")
    if min(numbers[2:]) < 0:
        raise Fault(f"{name}: bbox {box} has a negative width or height")
    return numbers


def _around(outline: Any, name: str) -> list[float]:
    """The box around polygons, or around a mask in COCO's run lengths."""
    from faster_coco_eval import mask

    try:
        if isinstance(outline, dict):
            runs = mask.frPyObjects(outline, *outline["size"]) if isinstance(outline["counts"], list) else outline
            return [float(side) for side in mask.toBbox(runs)]
        points = [float(value) for polygon in outline for value in polygon]
        xs, ys = points[::2], points[1::2]
        box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    except (TypeError, ValueError, KeyError) as error:
        raise Fault(f"{name}: its segmentation is neither polygons nor run lengths ({error})") from None
    if not all(map(math.isfinite, box)):
        raise Fault(f"{name}: its segmentation is not finite")
    return box


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
