"""Pictures and videos with detections drawn on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from qcore.plugin import FileError, replacing
from qcore_kit.boxes.detections import Detections
from qcore_plugins.tasks.detection import drawn_labels as labels
from qcore_plugins.tasks.detection.palette import colour, text_colour

CODECS = ((".mp4", "mp4v"), (".avi", "MJPG"))
"""Suffix and codec of a drawn video: the first one that this OpenCV can write."""
RATE = 25.0
"""Frames per second where the recording does not say."""
TICKS = 65535
"""Largest whole number of a rate in MPEG-4 part 2."""


def draw(picture: np.ndarray, found: Detections) -> np.ndarray:
    """A copy of a BGR picture with boxes, names and confidences, the most confident on top; see `visible`."""
    canvas = visible(picture).copy()
    height, width = canvas.shape[:2]
    style = labels.Style.of(height, width)
    colours = [colour(int(index)) for index in found.class_id]
    for box, line in reversed(list(zip(found.xyxy, colours, strict=True))):
        left, top, right, bottom = (round(float(side)) for side in np.clip(box, 0, (width - 1, height - 1) * 2))
        cv2.rectangle(canvas, (left, top), (right, bottom), line, style.line, cv2.LINE_AA)
    placed = zip(labels.placed(found, height, width, style), colours, strict=True)
    labels.drawn(canvas, [(label, back, text_colour(back)) for label, back in placed if label][::-1])
    return canvas


def visible(picture: np.ndarray) -> np.ndarray:
    """What can be shown of `[H, W]` or `[H, W, C]`, as `[H, W, 3]`: three channels, or the first one as gray."""
    planes = picture[..., None] if picture.ndim == 2 else picture
    return np.ascontiguousarray(planes[..., :3] if planes.shape[2] >= 3 else planes[..., :1].repeat(3, 2))


def write(picture: np.ndarray, found: Detections, path: Path) -> None:
    """Draw into a file; its suffix decides the format.

    Raises:
        FileError: It cannot be encoded or written.
    """
    done, data = cv2.imencode(path.suffix, draw(picture, found))
    if not done:
        raise FileError(f"{path}: cannot be written as {path.suffix}")
    path.write_bytes(data.tobytes())


class Film:
    """A video that is being drawn; all frames have the size of the first."""

    def __init__(self, path: Path, codec: str, rate: float) -> None:
        self._path, self._rate = path, rate
        self._codec = cv2.VideoWriter.fourcc(*codec)
        self._writer: cv2.VideoWriter | None = None
        self._last: np.ndarray | None = None
        self._size = (0, 0)

    def add(self, picture: np.ndarray, found: Detections) -> None:
        """The next frame.

        Raises:
            FileError: The video cannot be written.
        """
        canvas = draw(picture, found)
        if self._writer is None:
            self._size = canvas.shape[1], canvas.shape[0]
            self._writer = cv2.VideoWriter(str(self._path), self._codec, self._rate, self._size)
            if not self._writer.isOpened():
                raise FileError(
                    f"{self._path}: OpenCV cannot write a video of {self._size[0]} x {self._size[1]} pixels"
                )
        if (canvas.shape[1], canvas.shape[0]) != self._size:
            canvas = cv2.resize(canvas, self._size)
        self._writer.write(canvas)
        self._last = canvas

    def hold(self) -> None:
        """The last frame once more."""
        if self._writer is not None and self._last is not None:
            self._writer.write(self._last)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.release()


@contextmanager
def film(folder: Path, stem: str, rate: float | None) -> Iterator[Film]:
    """A drawn video `stem.mp4` in a folder, `.avi` where OpenCV has no encoder for it; there if the block ends well."""
    suffix, codec = next((pair for pair in CODECS if _writes(*pair)), CODECS[-1])
    with replacing(folder / f"{stem}{suffix}") as path:
        opened = Film(path, codec, writable_rate(rate or RATE))
        try:
            yield opened
        finally:
            opened.close()


def writable_rate(rate: float) -> float:
    """The nearest rate that MPEG-4 holds: as many decimals, up to three, as leave its whole number below 65536.

    OpenCV writes a rate as a whole number over a power of ten; MPEG-4 part 2 has 16 bits for that number.
    """
    decimals = next((places for places in (3, 2, 1) if round(rate * 10**places) <= TICKS), 0)
    return min(round(rate, decimals), float(TICKS))


@cache
def _writes(suffix: str, codec: str) -> bool:
    """Whether this OpenCV has the encoder."""
    with TemporaryDirectory() as folder:
        writer = cv2.VideoWriter(f"{folder}/probe{suffix}", cv2.VideoWriter.fourcc(*codec), RATE, (64, 64))
        try:
            return bool(writer.isOpened())
        finally:
            writer.release()
