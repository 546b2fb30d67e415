"""Where the labels of boxes go: always inside the picture, off each other where there is room."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from qcore_kit.boxes.detections import Detections

FONT = cv2.FONT_HERSHEY_SIMPLEX
CAPITAL = 22
"""Height in pixels of its capital letters at scale 1."""
SMALLEST = 0.3
"""Below this scale the letters run together."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Style:
    """Sizes that follow the picture's own.

    Attributes:
        line: Thickness of boxes in pixels.
        scale: Of the font.
        stroke: Thickness of its lines in pixels.
    """

    line: int
    scale: float
    stroke: int

    @classmethod
    def of(cls, height: int, width: int) -> Style:
        """For a picture of that size."""
        side = math.sqrt(height * width)
        scale = max(SMALLEST, min(0.45, side / 700), side / 1100)
        return cls(max(1, round(side / 280)), scale, max(1, round(scale * 1.6)))


@dataclass(frozen=True)
class Label:
    """A filled box with text in it.

    Attributes:
        box: Left, top, right, bottom in pixels; right and bottom are outside.
        text: ASCII, what the font has.
        at: Where its baseline begins.
        scale: Of the font.
        stroke: Thickness of its lines.
    """

    box: Box
    text: str
    at: tuple[int, int]
    scale: float
    stroke: int


def placed(found: Detections, height: int, width: int, style: Style) -> list[Label | None]:
    """A label for each detection; None where the picture has no room for one.

    The most confident choose first: above their box, inside its top, below it, inside its bottom.
    """
    done: list[Label | None] = []
    taken = np.zeros((0, 4))
    for box, confidence, index in zip(found.xyxy, found.confidence, found.class_id, strict=True):
        label = None
        if fitted := _fitted(_ascii(found.name(int(index)), int(index)), f"{confidence:.2f}", height, width, style):
            label = _free(fitted, box, taken, height, width, style)
            taken = np.concatenate((taken, [label.box]))
        done.append(label)
    return done


@dataclass(frozen=True)
class _Text:
    text: str
    scale: float
    stroke: int
    size: tuple[int, int]
    margin: int
    base: int


def _fitted(name: str, confidence: str, height: int, width: int, style: Style) -> _Text | None:
    """The text that the picture has room for: smaller, then with the name cut, then without it."""
    smaller = [scale for scale in (style.scale, style.scale * 0.8, 0.5, SMALLEST) if scale <= style.scale]
    whole = (_measured(f"{name} {confidence}", scale, style) for scale in smaller)
    cut = (_measured(f"{name[:length]}.. {confidence}", SMALLEST, style) for length in range(len(name) - 1, 0, -1))
    bare = (_measured(text, SMALLEST, style) for text in (confidence, name[:1]))
    for place in (*whole, *cut, *bare):
        if place.size[0] <= width and place.size[1] <= height:
            return place
    return None


def _measured(text: str, scale: float, style: Style) -> _Text:
    stroke = style.stroke if scale == style.scale else max(1, round(scale * 1.6))
    (across, up), down = cv2.getTextSize(text, FONT, scale, stroke)
    margin = max(1, round(CAPITAL * scale * 0.25)) + stroke // 2
    return _Text(text, scale, stroke, (across + 2 * margin, up + down + margin), margin, up + margin // 2 + margin % 2)


def _free(text: _Text, box: np.ndarray, taken: np.ndarray, height: int, width: int, style: Style) -> Label:
    """The label at the place where it covers least of others."""
    left, top, right, bottom = (round(float(side)) for side in box)
    half = style.line // 2
    across, up = text.size
    begin, end = left - half, right + half - across
    places = [
        (begin, top - half - up), (begin, top - half), (begin, bottom + half), (begin, bottom + half - up),
        (end, top - half - up), (end, top - half), (end, bottom + half),
    ]  # fmt: skip
    inside = [(_within(x, width - across), _within(y, height - up)) for x, y in places]
    x, y = min(inside, key=lambda at: _covered((*at, at[0] + across, at[1] + up), taken))  # the first of equal ones
    return Label((x, y, x + across, y + up), text.text, (x + text.margin, y + text.base), text.scale, text.stroke)


def _within(value: int, most: int) -> int:
    return max(0, min(value, most))


def _covered(box: Box, taken: np.ndarray) -> float:
    """Square pixels of other labels below this one."""
    low, high = np.maximum(box[:2], taken[:, :2]), np.minimum(box[2:], taken[:, 2:])
    return float(np.clip(high - low, 0, None).prod(-1).sum())


def _ascii(name: str, index: int) -> str:
    """The name in letters that OpenCV's fonts have: without accents; its number where nothing else is left."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    return plain if plain.isascii() and plain.isprintable() and plain else f"class {index}"


def drawn(canvas: np.ndarray, labels: Sequence[tuple[Label, tuple[int, int, int], tuple[int, int, int]]]) -> None:
    """Draw labels with their background and text colours, in the order given, into a BGR picture."""
    for label, background, ink in labels:
        left, top, right, bottom = label.box
        canvas[top:bottom, left:right] = background
        cv2.putText(canvas, label.text, label.at, FONT, label.scale, ink, label.stroke, cv2.LINE_AA)
