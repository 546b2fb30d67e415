"""Reading one picture."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from qcore.plugin import AssumptionWarning, FileError
from qcore_kit.pictures.kinds import is_video
from qcore_kit.silence import silently

MOST = 2**28
"""Pixels of a picture, at most: 800 MB, eight times what any camera gives. A header that says more is damaged, hostile,
or of a mosaic."""


def is_pil(item: Any) -> bool:
    """Whether something is a picture of Pillow, which nobody imports to find that out."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(item, pillow.Image)


def read(item: Any) -> np.ndarray:
    """One picture, `[H, W, 3]` uint8 in BGR order, EXIF orientation applied; arrays are taken as they are.

    Of 16 bits the upper 8 are taken, as `cv2.imread` does; where no value needs more than 12, the upper 8 of those.

    Args:
        item: Path of a file, the bytes of one, a picture of Pillow, or an array in BGR order.

    Warns:
        AssumptionWarning: A 16-bit picture that seems to hold fewer bits, once per folder.

    Raises:
        FileError: Not a picture, one of neither 8 nor 16 bits, or one of more than `MOST` pixels.
    """
    if isinstance(item, np.ndarray):
        return _array(item)
    if is_pil(item):
        return _of_pillow(item)
    name = f"a picture of {len(item)} bytes" if isinstance(item, bytes) else str(item)
    try:
        data = np.frombuffer(item, np.uint8) if isinstance(item, bytes) else np.fromfile(item, np.uint8)
    except OSError as error:
        raise FileError(f"{item}: cannot be read ({error.strerror})", hint="check the path") from error
    picture = _decoded(data, name)
    if picture is None and not isinstance(item, bytes) and is_video(Path(item)):
        raise FileError(f"{item}: a video, and pictures are wanted here", hint="make pictures of its frames")
    if picture is None:
        raise FileError(f"{name}: not a readable picture", hint="copy or download it again, or leave it out")
    return _in_eight_bits(picture, name)


def _decoded(data: np.ndarray, name: str) -> np.ndarray | None:
    """The picture in the bytes of a file; what decoders print about it, without its name, goes nowhere."""
    import cv2

    if not data.size:
        return None
    try:
        with silently():
            return cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        if "PIXELS" not in str(error):
            return None
        raise FileError(
            f"{name}: more than {MOST:,} pixels", hint="cut it into parts, or set OPENCV_IO_MAX_IMAGE_PIXELS higher"
        ) from error


def _of_pillow(item: Any) -> np.ndarray:
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(item) or item
    return np.ascontiguousarray(np.asarray(upright.convert("RGB"))[..., ::-1])


def _in_eight_bits(picture: np.ndarray, item: str) -> np.ndarray:
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
