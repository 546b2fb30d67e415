"""Reading one picture."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from qcore.plugin import AssumptionWarning, FileError
from qcore_kit.pictures.kinds import VIDEO_SUFFIXES


def read(item: Any) -> np.ndarray:
    """One picture, `[H, W, 3]` uint8 in BGR order, EXIF orientation applied; arrays are taken as they are.

    Of 16 bits the upper 8 are taken, as `cv2.imread` does; where no value needs more than 12, the upper 8 of those.

    Warns:
        AssumptionWarning: A 16-bit picture that seems to hold fewer bits; once per folder.

    Raises:
        FileError: Not a picture, or one of neither 8 nor 16 bits.
    """
    import cv2

    if isinstance(item, np.ndarray):
        return _array(item)
    try:
        data = np.fromfile(item, np.uint8)
    except OSError as error:
        raise FileError(f"{item}: cannot be read ({error.strerror})", hint="check the path") from error
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if data.size else None
    if picture is None and Path(item).suffix.lower() in VIDEO_SUFFIXES:
        raise FileError(f"{item}: a video, and pictures are wanted here", hint="make pictures of its frames")
    if picture is None:
        raise FileError(f"{item}: not a readable picture", hint="copy or download it again, or leave it out")
    return _in_eight_bits(picture, item)


def _in_eight_bits(picture: np.ndarray, item: Any) -> np.ndarray:
    if picture.dtype == np.uint8:
        return picture
    if picture.dtype != np.uint16:
        raise FileError(
            f"{item}: its values are {picture.dtype}, expected 8 or 16 bits",
            hint="convert it to 8 bits as the training pictures were converted",
        )
    bits = int(picture.max()).bit_length()
    if bits > 14:
        return (picture >> 8).astype(np.uint8)
    taken = 12 if bits <= 12 else 16
    warnings.warn(
        f"{Path(item).parent}: 16-bit pictures with no value above {2 ** max(bits, 12) - 1} are read as {taken}-bit "
        f"(divided by {2 ** (taken - 8)}); convert them to 8 bits if the model was trained on another scale",
        AssumptionWarning,
        stacklevel=3,
    )
    return (picture >> (taken - 8)).astype(np.uint8)


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
