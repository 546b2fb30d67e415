"""Picture files: which there are, and reading one; videos and cameras are in `pictures.videos`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from qcore.errors import FileError

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
VIDEO_SUFFIXES = {
    ".avi", ".flv", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv",
}  # fmt: skip


def inside(folder: Path) -> list[Path]:
    """Every picture below a folder, sorted."""
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())


def listed(path: Path) -> list[Path]:
    """The files that a path, a folder or a pattern stands for.

    A folder stands for the pictures below it, a pattern for every file that fits it; `**` is any depth of folders.

    Raises:
        FileError: A path that is not there, or a folder or pattern without a picture.
    """
    if path.is_dir():
        found = inside(path)
        if not found:
            videos = any(file.suffix.lower() in VIDEO_SUFFIXES for file in path.rglob("*"))
            raise FileError(
                f"{path}: no picture in this folder",
                hint=f"there are videos: name them, e.g. '{path}/*.mp4'"
                if videos
                else f"pictures end with {' '.join(sorted(SUFFIXES))}",
            )
        return found
    if path.exists():
        return [path]
    first = next((place for place, part in enumerate(path.parts) if any(sign in part for sign in "*?[")), None)
    if first is not None:
        parts = path.parts[first:]
        pattern = "/".join((*parts, "*") if parts[-1] == "**" else parts)
        found = sorted(file for file in Path(*path.parts[:first]).glob(pattern) if file.is_file())
        if found:
            return found
        raise FileError(f"{path}: no file fits this pattern", hint="check the path")
    raise FileError(f"{path}: no such file or folder", hint="check the path")


def read(item: Any) -> np.ndarray:
    """One picture, `[H, W, 3]` uint8 in BGR order, EXIF orientation applied; arrays are taken as they are.

    Raises:
        FileError: Not a picture.
    """
    import cv2

    if isinstance(item, np.ndarray):
        return _array(item)
    try:
        data = np.fromfile(item, np.uint8)
    except OSError as error:
        raise FileError(f"{item}: cannot be read ({error.strerror})", hint="check the path") from error
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is None and Path(item).suffix.lower() in VIDEO_SUFFIXES:
        raise FileError(f"{item}: a video, and pictures are wanted here", hint="make pictures of its frames")
    if picture is None:
        raise FileError(f"{item}: not a readable picture", hint="copy or download it again, or leave it out")
    return picture


def _array(picture: np.ndarray) -> np.ndarray:
    """An array as BGR uint8."""
    if (
        picture.dtype != np.uint8
        or picture.ndim not in (2, 3)
        or (picture.ndim == 3 and picture.shape[2] not in (3, 4))
    ):
        raise FileError(
            f"an array {picture.dtype} {list(picture.shape)} is no picture",
            hint="pictures are uint8 [H, W, 3] in BGR order, as cv2.imread gives them",
        )
    import cv2

    if picture.ndim == 2:
        return cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(picture[..., :3])
