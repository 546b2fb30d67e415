"""Which frames of an AVI file are gone: its index says where each one lies, and something else lies there.

FFmpeg goes on with the next whole chunk and counts that as the next frame. The layout is of Microsoft's "AVI RIFF File
Reference": a list `movi` of chunks, an index `idx1` of 16 bytes a chunk: name, flags, offset from `movi`, size.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

ENTRIES = 4_000_000
"""Of an index, at most: a day of frames and sound."""


def lost(path: Path) -> frozenset[int]:
    """Numbers of the frames whose chunk is not where the index says; none for a file without such an index."""
    try:
        with path.open("rb") as stream:
            head = stream.read(12)
            if (head[:4], head[8:]) != (b"RIFF", b"AVI "):
                return frozenset()
            return _missing(stream, path.stat().st_size)
    except (OSError, struct.error):
        return frozenset()


def _missing(stream: BinaryIO, size: int) -> frozenset[int]:
    place, movi, index = 12, 0, b""
    while place + 8 <= size and not index:
        stream.seek(place)
        kind, length = struct.unpack("<4sI", stream.read(8))
        if kind == b"LIST" and stream.read(4) == b"movi":
            movi = place + 8
        elif kind == b"idx1":
            index = stream.read(min(length, 16 * ENTRIES))
        place += 8 + length + length % 2
    entries = list(struct.iter_unpack("<4s4xII", index[: len(index) // 16 * 16]))
    frames = [(name, offset) for name, offset, _ in entries if name[2:] in (b"dc", b"db")]
    names = {name for name, _ in frames}
    if not movi or len(names) != 1 or not frames:
        return frozenset()
    base = movi if frames[0][1] < movi else 0  # some writers count from the start of the file
    gone = set()
    for number, (name, offset) in enumerate(frames):
        stream.seek(base + offset)
        if stream.read(4) != name:
            gone.add(number)
    return frozenset(gone) if len(gone) < len(frames) else frozenset()
