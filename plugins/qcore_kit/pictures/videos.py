"""Videos and cameras, read frame by frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from qcore.plugin import FileError, MissingDevice
from qcore_kit.pictures.animations import Animation, animated
from qcore_kit.pictures.files import VIDEO_SUFFIXES
from qcore_kit.pictures.frames import Frame

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # OpenCV reads it once: FFmpeg's messages name no file, ours do

ATTEMPTS = 30
"""A frame that cannot be decoded looks like the end; only so many in a row are the end."""
SLACK = 0.02
"""Part of the announced frames that may be missing: some containers announce an estimate made of length and rate."""
FEW = 2
"""And so many always."""


class Video:
    """A video file or a camera; iterating reads it from the start. See `qcore_kit.recordings`."""

    def __init__(self, source: Path | int) -> None:
        self.source = source
        self.stem = source.stem if isinstance(source, Path) else f"camera-{source}"
        with _capture(source) as capture:
            self.opened = capture.isOpened()
            count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if self.opened else 0
            rate = float(capture.get(cv2.CAP_PROP_FPS)) if self.opened else 0.0
        self.total = None if isinstance(source, int) else max(0, count)
        self.rate = rate if 0 < rate < 1000 else None

    def __str__(self) -> str:
        return str(self.source) if isinstance(self.source, Path) else f"camera {self.source}"

    def __iter__(self) -> Iterator[Frame]:
        """The frames, one at a time in memory.

        Raises:
            FileError: It is not a video, or at its end: clearly fewer frames came than it announces.
        """
        number = 0
        with _capture(self.source) as capture:
            if not capture.isOpened():
                raise FileError(f"{self}: not a readable video", hint="copy or download it again, or leave it out")
            for picture in _pictures(capture, attempts=1 if self.total is None else ATTEMPTS):
                yield Frame(self, number, picture)
                number += 1
        if self.total is None:
            raise FileError(f"{self}: gives no more pictures", hint="check its cable")
        if self.total - number > max(FEW, SLACK * self.total):
            raise FileError(f"{self}: ends after {number} of {self.total} frames", hint="copy or download it again")


def recording(source: Any) -> Video | Animation | None:
    """The video or animation that a path is, or the camera of that number; None for anything else.

    Text made of digits is a camera where no file has that name.

    Raises:
        MissingDevice: There is no such camera.
    """
    if isinstance(source, Video | Animation):
        return source
    if isinstance(source, int) and not isinstance(source, bool):
        return _camera(source)
    if not isinstance(source, (str, Path)):
        return None
    path, text = Path(source), str(source)
    if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
        return Video(path)
    if path.is_file() and animated(path):
        return Animation(path)
    return _camera(int(text)) if text.isascii() and text.isdigit() and not path.exists() else None


def _camera(number: int) -> Video:
    camera = Video(number) if 0 <= number < 2**31 else None
    if camera is None or not camera.opened:
        raise MissingDevice(
            f"there is no camera {number}, and no file of that name", hint="name a picture, a folder or a video"
        )
    return camera


def _pictures(capture: cv2.VideoCapture, attempts: int) -> Iterator[np.ndarray | None]:
    """Every frame; None for one that cannot be decoded but is followed by one that can."""
    failed = 0
    while failed < attempts:
        there, picture = capture.read()
        if not there:
            failed += 1
            continue
        yield from [None] * failed
        failed = 0
        yield picture


@contextmanager
def _capture(source: Path | int) -> Iterator[cv2.VideoCapture]:
    """An opened source, released at the end; OpenCV says nothing itself where there is none."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
    finally:
        cv2.utils.logging.setLogLevel(level)
    try:
        yield capture
    finally:
        capture.release()
