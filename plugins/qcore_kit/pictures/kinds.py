"""Which files are pictures, by their names and by how they begin."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = {
    ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".pbm", ".pgm", ".png", ".pnm",
    ".ppm", ".tif", ".tiff", ".webp",
}  # fmt: skip
VIDEO_SUFFIXES = {
    ".avi", ".flv", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv",
}  # fmt: skip
UNREAD = {".arw", ".cr2", ".cr3", ".dng", ".exr", ".hdr", ".heic", ".heif", ".jxl", ".nef", ".psd", ".svg"}
"""Pictures, but of kinds that are not read."""
BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*")


def is_picture(file: Path) -> bool:
    """Whether the name says so, or the content where the name has no suffix."""
    return _looks(file) if not file.suffix else file.suffix.lower() in SUFFIXES


def _looks(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            start = stream.read(12)
    except OSError:
        return False
    return start.startswith(BEGINNINGS) or (start[:4], start[8:]) == (b"RIFF", b"WEBP")
