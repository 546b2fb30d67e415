"""Pictures with detections drawn on them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from qcore.errors import FileError
from qcore_plugins.detections import Detections


def draw(picture: np.ndarray, found: Detections) -> np.ndarray:
    """A copy of a BGR picture `[H, W, 3]` with boxes, names and confidences."""
    canvas = picture.copy()
    thickness = max(1, round(max(canvas.shape) / 400))
    scale = max(0.4, max(canvas.shape) / 1600)
    for box, confidence, name in found:
        colour = _colour(name)
        left, top, right, bottom = (round(float(side)) for side in box)
        cv2.rectangle(canvas, (left, top), (right, bottom), colour, thickness, cv2.LINE_AA)
        label = f"{name} {confidence:.2f}"
        (width, height), below = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
        base = max(top, height + 2 * below)
        left = min(left, max(0, canvas.shape[1] - width))
        cv2.rectangle(canvas, (left, base - height - below), (left + width, base), colour, cv2.FILLED)
        at = (left, base - below // 2)
        cv2.putText(canvas, label, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), thickness, cv2.LINE_AA)
    return canvas


def write(picture: np.ndarray, found: Detections, path: Path) -> None:
    """Draw into a file; its suffix decides the format.

    Raises:
        FileError: It cannot be encoded or written.
    """
    done, data = cv2.imencode(path.suffix, draw(picture, found))
    if not done:
        raise FileError(f"{path}: cannot be written as {path.suffix}")
    path.write_bytes(data.tobytes())


def _colour(name: str) -> tuple[int, int, int]:
    """Dark enough for white letters, the same for a name in every picture."""
    hue = sum((position + 1) * ord(letter) for position, letter in enumerate(name)) * 47 % 180
    pixel = cv2.cvtColor(np.array([[[hue, 220, 190]]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0]
    return int(pixel[0]), int(pixel[1]), int(pixel[2])
