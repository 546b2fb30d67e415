"""One line of a YOLO label file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FORMAT = "write 'class x y width height', x and y of the centre, as fractions of the picture's width and height"
LIMIT = 1.01
"""Upstream's tolerance on fractions of the picture."""


class Fault(ValueError):
    """Why a line cannot be a label; `hint` says what to do."""

    def __init__(self, text: str, hint: str = FORMAT) -> None:
        super().__init__(text)
        self.hint = hint


@dataclass(frozen=True)
class Line:
    """A label.

    Attributes:
        number: Of the line, from 1.
        kind: Number of the class.
        box: x and y of the centre, width, height, in fractions of the picture's sides.
        sixth: What stood behind the box, often a confidence; None where nothing did.
        outline: Whether the box was made of an outline.
    """

    number: int
    kind: int
    box: tuple[float, float, float, float]
    sixth: float | None = None
    outline: bool = False


def parse(text: str, number: int, classes: int, keypoints: int = 0) -> Line:
    """The label that a line is: class and box, perhaps a confidence or keypoints; or class and outline.

    Raises:
        Fault: It cannot be one.
    """
    words = text.split()
    try:
        first, *values = (float(word) for word in words)
    except ValueError:
        raise Fault(f"not a label: {text.strip()[:60]}") from None
    if not first.is_integer():
        raise Fault(f"class {words[0]} is not a whole number")
    if not 0 <= first < classes:
        raise Fault(f"class {words[0]}, but the classes of the data are 0 to {classes - 1}", "check names in data.yaml")
    sixth, outline = None, False
    if keypoints and len(values) == 4 + keypoints:
        values = values[:4]
    elif len(values) == 5:
        sixth = values.pop()
    elif len(values) > 5 and len(values) % 2 == 0:
        values, outline = _around(values), True
    if len(values) != 4:
        raise Fault(f"not a label, it has {len(words)} columns: {text.strip()[:60]}")
    x, y, width, height = values
    _check(x, y, width, height)
    return Line(number, int(first), (x, y, width, height), sixth, outline)


def _around(values: Sequence[float]) -> list[float]:
    """The box around an outline, whose points are all in or near the picture."""
    left, top, right, bottom = min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]


def _check(x: float, y: float, width: float, height: float) -> None:
    values = {"x": x, "y": y, "width": width, "height": height}
    for name, value in values.items():
        if not math.isfinite(value):
            raise Fault(f"{name} is {value}")
    for name in ("width", "height"):
        if values[name] < 0:
            raise Fault(f"{name} {values[name]:g} is negative")
    for name, value in values.items():
        if not 1 - LIMIT <= value <= LIMIT:
            raise Fault(f"{name} {value:g} is not between 0 and 1")
