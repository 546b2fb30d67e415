"""The pictures that are worst, kept small while the others go by."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import cv2
import numpy as np

from qcore_kit.boxes.detections import Detections
from qcore_kit.reports import Picture
from qcore_plugins.tasks.detection.drawing import draw, visible

KEPT = 6
WIDTH = 480
"""Pixels, at most."""
QUALITY = 80


class Worst:
    """Drawn pictures side by side, of the few with the highest badness; those with none are not kept."""

    def __init__(self, count: int = KEPT) -> None:
        self._count = count
        self._heap: list[tuple[float, int, str, list[Picture]]] = []
        self._offered = 0

    def offer(self, badness: float, heading: str, raw: np.ndarray, found: Sequence[tuple[str, Detections]]) -> None:
        """A picture `[H, W]` or `[H, W, C]`, the first channels in BGR order, with what to draw on each copy of it."""
        self._offered += 1
        full = len(self._heap) == self._count
        if badness <= 0 or (full and badness <= self._heap[0][0]):
            return
        pictures = [Picture(small(raw, each), caption) for caption, each in found]
        put = heapq.heappushpop if full else heapq.heappush
        put(self._heap, (badness, -self._offered, heading, pictures))

    def rows(self) -> list[tuple[str, list[Picture]]]:
        """Heading and pictures, the worst first."""
        return [
            (heading, pictures)
            for _, _, heading, pictures in sorted(self._heap, key=lambda each: each[:2], reverse=True)
        ]

    def captions(self) -> list[str]:
        """The headings, the worst first."""
        return [heading for heading, _ in self.rows()]


def small(raw: np.ndarray, found: Detections) -> bytes:
    """A JPEG of the picture with its boxes, at most `WIDTH` pixels wide."""
    factor = min(1.0, WIDTH / raw.shape[1])
    size = max(1, round(raw.shape[1] * factor)), max(1, round(raw.shape[0] * factor))
    picture = visible(raw)
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if factor < 1 else picture
    placed = Detections(found.xyxy * np.float32(factor), found.confidence, found.class_id, found.names)
    _, data = cv2.imencode(".jpg", draw(picture, placed), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return bytes(data.tobytes())
