"""Animated pictures and pages of one file, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from qcore.plugin import FileError
from qcore_kit.pictures.frames import Frame

AT_ONCE = 64
"""Frames that are in memory at a time."""
HEAD = 4096
"""Bytes in which a picture says that it is animated."""


def animated(path: Path) -> bool:
    """Whether a file holds several pictures: GIF, APNG, animated WebP, pages of TIFF; cheap for any other."""
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD)
    except OSError:
        return False
    apng = head.startswith(b"\x89PNG") and b"acTL" in head.partition(b"IDAT")[0]
    webp = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) > 20 and bool(head[20] & 2)
    if not (apng or webp or head.startswith((b"GIF8", b"II*\0", b"MM\0*"))):
        return False
    import cv2

    try:
        return int(cv2.imcount(str(path))) > 1
    except cv2.error:
        return False


class Animation:
    """The pictures of a file with several; see `qcore_kit.recordings.Recording`."""

    def __init__(self, source: Path) -> None:
        import cv2

        self.source, self.stem = source, source.stem
        self.total: int | None = int(cv2.imcount(str(source)))
        self.rate: float | None = None
        if source.suffix.lower() not in (".tif", ".tiff"):  # pages have no time
            there, first = cv2.imreadanimation(str(source), 0, 1)
            shown = int(first.durations[0]) if there and len(first.durations) else 0  # in milliseconds
            self.rate = 1000 / shown if shown > 0 else None

    def __str__(self) -> str:
        return str(self.source)

    def __iter__(self) -> Iterator[Frame]:
        """The pictures, some at a time in memory.

        Raises:
            FileError: Fewer can be decoded than it announces.
        """
        import cv2

        number, total = 0, self.total or 0
        while number < total:
            there, pictures = cv2.imreadmulti(str(self.source), number, AT_ONCE, flags=cv2.IMREAD_COLOR)
            for picture in pictures if there else ():
                yield Frame(self, number, picture)
                number += 1
            if not there or not pictures:
                raise FileError(f"{self}: ends after {number} of {total} frames", hint="copy or download it again")
