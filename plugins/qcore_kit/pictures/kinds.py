"""Which files are pictures, by their names and by how they begin."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = {
    ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".pbm", ".pgm", ".png", ".pnm",
    ".ppm", ".tif", ".tiff", ".webp",
}  # fmt: skip
VIDEO_SUFFIXES = {
    ".264", ".3g2", ".3gp", ".asf", ".avi", ".flv", ".h264", ".h265", ".hevc", ".m2ts", ".m4v", ".mjpeg", ".mjpg",
    ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv",
}  # fmt: skip
UNREAD = {".arw", ".cr2", ".cr3", ".dng", ".exr", ".hdr", ".heic", ".heif", ".jxl", ".nef", ".psd", ".svg"}
"""Pictures, but of kinds that are not read."""
BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*")


VIDEO_BEGINNINGS = (
    b"\x1aE\xdf\xa3", b"FLV\x01", b"0&\xb2u\x8ef\xcf\x11", b"OggS", b"\0\0\x01\xba", b"\0\0\x01\xb3", b"\0\0\0\x01\x67",
    b"\0\0\x01\x67", b"\0\0\0\x01\x09", b"\0\0\0\x01\x40",
)  # fmt: skip
"""Matroska and WebM, Flash, ASF and WMV, Ogg, MPEG programs and sequences, H.264 and H.265 as bare streams."""
PICTURE_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1"}
"""Of the family of MP4, what holds pictures."""


def is_picture(file: Path) -> bool:
    """Whether the name says so, or the content where the name has no suffix."""
    return _looks(start_of(file)) if not file.suffix else file.suffix.lower() in SUFFIXES


def is_video(file: Path) -> bool:
    """Whether the content says so; where it says nothing known, the name."""
    start = start_of(file)
    if _looks(start) or start.startswith((b"GIF8", b"BM")):
        return False
    if start[4:8] == b"ftyp":
        return start[8:12] not in PICTURE_BRANDS
    packets = any(start[at : at + 1] == start[at + step : at + step + 1] == b"G" for at, step in ((0, 188), (4, 192)))
    if start.startswith(VIDEO_BEGINNINGS) or (start[:4], start[8:12]) == (b"RIFF", b"AVI ") or packets:
        return True
    return file.suffix.lower() in VIDEO_SUFFIXES


def start_of(file: Path) -> bytes:
    """The first bytes of a file; none of one that cannot be read."""
    try:
        with file.open("rb") as stream:
            return stream.read(256)
    except OSError:
        return b""


def _looks(start: bytes) -> bool:
    return start.startswith(BEGINNINGS) or (start[:4], start[8:12]) == (b"RIFF", b"WEBP")
