"""Videos and cameras, read frame by frame."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from qcore.plugin import AssumptionWarning, FileError, MissingDevice, UsageError
from qcore_kit.pictures import chunks, kinds, matrices
from qcore_kit.pictures.animations import Animation, animated
from qcore_kit.pictures.frames import Frame

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # OpenCV reads it once: FFmpeg's messages name no file, ours do

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
ATTEMPTS = 30
"""A frame that cannot be decoded looks like the end; only so many in a row are the end."""
SLACK = 0.02
"""Part of the announced frames that may be missing: some containers announce an estimate made of length and rate."""
FEW = 2
"""And so many always."""


NEAR = 0.2
"""Part of a frame's time that a time stamp may be beside its place, in a recording of a constant rate."""
LISTED = 5
"""Gaps that are named."""


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
        self._matrix = matrices.mirrored(source) if isinstance(source, Path) else None

    def __str__(self) -> str:
        return str(self.source) if isinstance(self.source, Path) else f"camera {self.source}"

    def __iter__(self) -> Iterator[Frame]:
        """The frames, one at a time in memory.

        The number of a frame is its place by its time stamp where the rate is constant, so that those that follow lost
        ones keep theirs.

        Warns:
            AssumptionWarning: Frames are missing.

        Raises:
            FileError: It is not a video, or at its end: clearly fewer frames came than it announces.
        """
        lost = chunks.lost(self.source) if isinstance(self.source, Path) else frozenset[int]()
        places = _Places(self.rate if self.total is not None else None, lost)
        with _capture(self.source, turn=self._matrix is None) as capture:
            if not capture.isOpened():
                raise FileError(f"{self}: not a readable video", hint="copy or download it again, or leave it out")
            for picture, seconds in _pictures(capture, attempts=1 if self.total is None else ATTEMPTS):
                number = places.next(seconds)
                shown = picture if picture is None or self._matrix is None else matrices.turned(picture, self._matrix)
                yield Frame(self, number, shown, seconds if self.total is not None else None)
        if self.total is None:
            raise FileError(f"{self}: gives no more pictures", hint="check its cable")
        if places.gaps:
            more = f" and {len(places.gaps) - LISTED} more gaps" if len(places.gaps) > LISTED else ""
            listed = ", ".join(
                f"{first}" if first == last else f"{first}-{last}" for first, last in places.gaps[:LISTED]
            )
            warnings.warn(f"{self}: frames missing: {listed}{more}", AssumptionWarning, stacklevel=2)
        came = places.came(self.total)
        if self.total - came > max(FEW, SLACK * self.total):
            raise FileError(f"{self}: ends after {came} of {self.total} frames", hint="copy or download it again")


class _Places:
    """Numbers of frames by their times, as long as these are multiples of one step.

    Attributes:
        gaps: (first, last) of the frames that did not come.
    """

    def __init__(self, rate: float | None, lost: frozenset[int]) -> None:
        self.gaps: list[tuple[int, int]] = []
        self._lost = lost
        self._rate, self._next, self._steady, self._time = rate, 0, rate is not None, 0.0

    def next(self, seconds: float | None) -> int:
        """The number of the next frame; `seconds` is None for one that cannot be decoded."""
        number = self._next
        while number in self._lost:
            number += 1
        if number > self._next:
            self.gaps.append((self._next, number - 1))
        elif seconds is not None and self._rate and number and not self._lost:
            exact = seconds * self._rate
            place = round(exact)
            self._steady = self._steady and abs(exact - place) < NEAR and place >= number
            if self._steady and place > number:
                self.gaps.append((number, place - 1))
                number = place
        self._time = seconds if seconds is not None else self._time
        self._next = number + 1
        return number

    def came(self, total: int) -> int:
        """How many of the announced frames came; where times vary, that number is the duration at some rate."""
        if self._steady or not self._rate:
            return self._next
        return max(self._next, min(total, round(self._time * self._rate) + 1))


def recording(source: Any) -> Video | Animation | None:
    """The video or animation that a path is, or the camera of that number; None for anything else.

    Text made of digits is a camera where no file has that name.

    Raises:
        MissingDevice: There is no such camera.
        UsageError: It is the address of a stream.
    """
    if isinstance(source, Video | Animation):
        return source
    if isinstance(source, int) and not isinstance(source, bool):
        return _camera(source)
    if not isinstance(source, (str, Path)):
        return None
    path, text = Path(source), str(source)
    if isinstance(source, str) and ADDRESS.match(source) and not path.exists():
        raise UsageError(
            f"{source}: addresses are not opened, because qcore uses no network",
            hint="record it first, e.g. ffmpeg -i ADDRESS -t 60 -c copy clip.mp4, or name a camera by its number",
        )
    if path.is_file() and kinds.is_video(path):
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


def _pictures(capture: cv2.VideoCapture, attempts: int) -> Iterator[tuple[np.ndarray | None, float | None]]:
    """Every frame with its time in seconds; None for one that cannot be decoded but is followed by one that can."""
    failed, last = 0, -1.0
    while failed < attempts:
        there, picture = capture.read()
        if not there:
            failed += 1
            continue
        yield from [(None, None)] * failed
        failed = 0
        seconds = max(0.0, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        yield picture, seconds if seconds > last else None  # bare streams have no times
        last = max(last, seconds)


@contextmanager
def _capture(source: Path | int, *, turn: bool = True) -> Iterator[cv2.VideoCapture]:
    """An opened source, released at the end; OpenCV says nothing itself where there is none.

    A file is opened by its absolute path, in which FFmpeg sees no protocol, and never as a series of pictures; one
    whose name is no text by the number of its descriptor.
    """
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    with ExitStack() as stack:
        try:
            if isinstance(source, int):
                capture = cv2.VideoCapture(source)
            else:
                capture = cv2.VideoCapture(_named(source, stack), cv2.CAP_FFMPEG)
                capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, float(turn))
        finally:
            cv2.utils.logging.setLogLevel(level)
        try:
            yield capture
        finally:
            capture.release()


def _named(path: Path, stack: ExitStack) -> str:
    name = str(path.absolute())
    try:
        name.encode()
    except UnicodeEncodeError:
        return f"/proc/self/fd/{stack.enter_context(path.open('rb')).fileno()}"
    return name
