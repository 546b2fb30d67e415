"""How an MP4 or QuickTime file wants its pictures turned: the display matrix of its video track.

OpenCV turns by 90, 180 and 270 degrees, and takes a mirrored picture for one of those. The matrix lies in the box
`tkhd` (ISO/IEC 14496-12, 8.3.2): x' = a x + c y, y' = b x + d y, in 16.16 fixed point.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

MOST = 4096
"""Boxes that are looked at: a file of more is damaged or hostile."""
INSIDE = {b"moov", b"trak", b"mdia"}


def mirrored(path: Path) -> tuple[int, int, int, int] | None:
    """The matrix (a, b, c, d), each -1, 0 or 1, of a video that is mirrored; None for any other."""
    try:
        with path.open("rb") as stream:
            if stream.read(8)[4:] not in (b"ftyp", b"moov", b"wide", b"skip", b"free", b"mdat"):
                return None
            matrix = _matrix(stream, path.stat().st_size)
    except (OSError, struct.error):
        return None
    if matrix is None:
        return None
    a, b, c, d = (round(value / 65536) for value in matrix)
    return (a, b, c, d) if a * d - b * c == -1 and {abs(a), abs(b)} == {0, 1} else None


def turned(picture: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """A picture as a mirrored matrix shows it."""
    a, b, c, d = matrix
    if b:
        picture = picture.swapaxes(0, 1)
    if (a or c) < 0:
        picture = picture[:, ::-1]
    if (d or b) < 0:
        picture = picture[::-1]
    return np.ascontiguousarray(picture)


def _matrix(stream: BinaryIO, size: int) -> tuple[int, int, int, int] | None:
    """Of the first track that holds pictures."""
    found: tuple[int, int, int, int] | None = None
    for kind, start, end in _boxes(stream, 0, size):
        if kind == b"tkhd":
            stream.seek(start)
            version = stream.read(1)[0]
            stream.seek(start + (52 if version == 1 else 40))
            a, b, _, c, d = struct.unpack(">5i", stream.read(20))
            found = (a, b, c, d)
        elif kind == b"hdlr":
            stream.seek(start + 8)
            if stream.read(4) == b"vide" and found:
                return found
        del end
    return None


def _boxes(stream: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start of the content, end) of the boxes of a file, those inside others too, in their order."""
    open_: list[tuple[int, int]] = [(start, end)]
    for _ in range(MOST):
        while open_ and open_[-1][0] + 8 > open_[-1][1]:
            open_.pop()
        if not open_:
            return
        place, last = open_[-1]
        stream.seek(place)
        length, kind = struct.unpack(">I4s", stream.read(8))
        head = 8
        if length == 1:
            (length,), head = struct.unpack(">Q", stream.read(8)), 16
        length = length or last - place
        if length < head or place + length > last:
            return
        open_[-1] = (place + length, last)
        yield kind, place + head, place + length
        if kind in INSIDE:
            open_.append((place + head, place + length))
