"""Generated pictures: labelled shapes before cluttered backgrounds. The same seed gives the same pictures."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

NAMES = ("ellipse", "rectangle", "triangle", "star")
SIZES = ((240, 320), (320, 240), (320, 320), (300, 400), (400, 300), (270, 480), (480, 360))
"""Heights and widths of pictures: none but one is the shape of the detector's input."""


@dataclass(frozen=True)
class Scene:
    """One picture and what is in it.

    Attributes:
        picture: `[H, W, 3]` uint8, BGR.
        xyxy: `[N, 4]` in pixels.
        class_id: `[N]`, index into `NAMES`.
    """

    picture: np.ndarray
    xyxy: np.ndarray
    class_id: np.ndarray


def scene(seed: int, index: int) -> Scene:
    """The picture number `index` of the set `seed`."""
    rng = np.random.default_rng((seed, index))
    height, width = SIZES[rng.integers(len(SIZES))]
    canvas = _background(rng, height, width)
    boxes: list[np.ndarray] = []
    classes: list[int] = []
    for _ in range(int(rng.integers(1, 9))):
        kind = int(rng.integers(len(NAMES)))
        outline = _outline(rng, kind, height, width)
        box = np.concatenate((outline.min(0), outline.max(0) + 1)).astype(np.float64)
        if any(_covered(box, other) > 0.15 for other in boxes):
            continue
        _fill(rng, canvas, outline)
        boxes.append(box)
        classes.append(kind)
    noise = rng.normal(0, rng.uniform(0, 10), canvas.shape)
    picture = np.clip(canvas + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (3, 3), 0).astype(np.uint8)
    return Scene(picture, np.array(boxes).reshape(-1, 4), np.array(classes, np.int64))


def write(folder: Path, count: int, seed: int) -> Path:
    """Write pictures into `folder/images` and their labels as COCO json; returns the json file."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    pictures: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(count):
        drawn = scene(seed, index)
        name = f"{index:04d}.png"
        cv2.imwrite(str(images / name), drawn.picture)
        height, width = drawn.picture.shape[:2]
        pictures.append({"id": index + 1, "file_name": name, "height": height, "width": width})
        for box, kind in zip(drawn.xyxy.tolist(), drawn.class_id.tolist(), strict=True):
            left, top, right, bottom = box
            size = [right - left, bottom - top]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index + 1,
                    "category_id": kind + 1,
                    "bbox": [left, top, *size],
                    "area": size[0] * size[1],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": index + 1, "name": name} for index, name in enumerate(NAMES)]
    labels = folder / "instances.json"
    labels.write_text(json.dumps({"images": pictures, "annotations": annotations, "categories": categories}))
    return labels


def _background(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A coloured gradient with blotches, lines, open outlines and letters: none of it is labelled."""
    coarse = rng.uniform(0, 255, (int(rng.integers(2, 7)), int(rng.integers(2, 7)), 3)).astype(np.float32)
    contrast = rng.uniform(0.2, 0.8)
    canvas = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * contrast
    canvas = np.clip(canvas + rng.uniform(0, 255 * (1 - contrast)), 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(4, 20))):
        start = (int(rng.integers(width)), int(rng.integers(height)))
        end = (int(rng.integers(width)), int(rng.integers(height)))
        thickness = int(rng.integers(1, 4))
        match int(rng.integers(4)):
            case 0:
                cv2.line(canvas, start, end, _colour(rng), thickness, cv2.LINE_AA)
            case 1:
                cv2.circle(canvas, start, int(rng.integers(4, 60)), _colour(rng), thickness, cv2.LINE_AA)
            case 2:
                cv2.rectangle(canvas, start, end, _colour(rng), thickness)
            case _:
                letter = chr(int(rng.integers(65, 91)))
                size = float(rng.uniform(0.5, 2))
                cv2.putText(canvas, letter, start, cv2.FONT_HERSHEY_SIMPLEX, size, _colour(rng), thickness, cv2.LINE_AA)
    result: np.ndarray = canvas
    return result


def _outline(rng: np.random.Generator, kind: int, height: int, width: int) -> np.ndarray:
    """Corner points `[N, 2]` of one shape inside the picture."""
    longest = math.exp(rng.uniform(math.log(18), math.log(0.6 * min(height, width))))
    aspect = rng.uniform(0.45, 1.0)
    match NAMES[kind]:
        case "ellipse":
            turns = np.linspace(0, 2 * math.pi, 48, endpoint=False)
            points = np.stack((np.cos(turns), np.sin(turns)), 1)
        case "rectangle":
            points = np.array(((-1, -1), (1, -1), (1, 1), (-1, 1)))
        case "triangle":
            points = np.array(((0, -1), (1, 1), (-1, 1)))
        case _:
            turns = np.arange(10) * math.pi / 5 - math.pi / 2
            radii = np.where(np.arange(10) % 2, 0.45, 1.0)
            points = np.stack((np.cos(turns), np.sin(turns)), 1) * radii[:, None]
    angle = rng.uniform(0, 2 * math.pi)
    turn = np.array(((math.cos(angle), -math.sin(angle)), (math.sin(angle), math.cos(angle))))
    points = (points * (longest / 2, longest / 2 * aspect)) @ turn.T
    low, high = points.min(0), points.max(0)
    room = np.array((width, height)) - (high - low) - 2
    at = rng.uniform(0, np.maximum(room, 1))
    result: np.ndarray = np.clip(np.round(points - low + at), 0, (width - 1, height - 1)).astype(np.int32)
    return result


def _fill(rng: np.random.Generator, canvas: np.ndarray, outline: np.ndarray) -> None:
    """Paint a shape in a colour that differs from what it covers."""
    centre = np.clip(outline.mean(0).round().astype(int), 0, (canvas.shape[1] - 1, canvas.shape[0] - 1))
    behind = canvas[centre[1], centre[0]].astype(np.float64)
    colour = _colour(rng)
    while np.abs(np.array(colour) - behind).max() < 60:
        colour = _colour(rng)
    cv2.fillPoly(canvas, [outline], colour, cv2.LINE_AA)
    if rng.random() < 0.3:
        cv2.polylines(canvas, [outline], True, _colour(rng), 1, cv2.LINE_AA)


def _colour(rng: np.random.Generator) -> tuple[float, float, float]:
    blue, green, red = rng.uniform(0, 255, 3).tolist()
    return blue, green, red


def _covered(box: np.ndarray, other: np.ndarray) -> float:
    """Shared area as a part of the smaller box."""
    sides = np.clip(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0, None)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
    return float(sides.prod() / max(min(areas), 1.0))
