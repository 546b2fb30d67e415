"""Channels of the input: three of a colour picture, one grey, or more of other sensors, which come as arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from qcore.plugin import FileError, Tensor, UsageError, counted
from qcore_kit.pictures import files as pictures
from qcore_kit.pictures.frames import Frame

ARRAY = ".npy"
"""Suffix of files that hold one array."""
PICTURES = (1, 3)
"""Numbers of channels that ordinary pictures serve."""


def count(tensor: Tensor, order: str) -> int:
    """Channels of an input; 3 where its shape does not say.

    Raises:
        UsageError: The parameter `channels` means another number.
    """
    axis = 3 if tensor.layout == "NHWC" else 1
    size = tensor.shape[axis] if len(tensor.shape) == 4 else 3
    number = size if isinstance(size, int) else 3
    if (order == "gray" and number != 1) or (order == "given" and number in PICTURES):
        raise UsageError(f"letterbox: channels {order!r} does not fit an input of {counted(number, 'channel')}")
    return number


def read(item: Any, number: int) -> np.ndarray:
    """What a model of that many channels is fed with, `[H, W, C]` uint8; colour pictures, in BGR order, for 1 and 3.

    Raises:
        FileError: Not a picture, or one of another number of channels.
    """
    name = str(item) if isinstance(item, (str, Path)) else ""
    if name.lower().endswith(ARRAY):
        item = _loaded(name)
    if isinstance(item, np.ndarray) and item.ndim == 3 and item.shape[2] == 1 and number == 1:
        item = item[..., 0]
    if number in PICTURES:
        return item.read() if isinstance(item, Frame) else pictures.read(item)
    if not isinstance(item, np.ndarray):
        picture = item.read() if isinstance(item, Frame) else pictures.read(item)
        raise _another(name or str(item), number, picture.shape[2])
    if item.dtype != np.uint8 or item.ndim != 3:
        raise FileError(
            f"{name or 'an array'}: {item.dtype} {list(item.shape)} is no input of this model",
            hint=f"it takes arrays uint8 [H, W, {number}]",
        )
    if item.shape[2] != number:
        raise _another(name or "an array", number, item.shape[2])
    return item


def _loaded(path: str) -> np.ndarray:
    try:
        loaded = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FileError(f"{path}: not a readable array ({str(error).splitlines()[0]})") from error
    if not isinstance(loaded, np.ndarray):
        raise FileError(f"{path}: not one array", hint="write it with numpy.save")
    return loaded


def _another(name: str, number: int, there: int) -> FileError:
    return FileError(
        f"{name}: the model takes {counted(number, 'channel')}, this picture has {there}",
        hint=f"give arrays uint8 [H, W, {number}] in the order of the training, in Python or as {ARRAY} files",
    )


def taken(raw: np.ndarray, number: int) -> np.ndarray:
    """The channels of a picture that the model sees, in the picture's order: `[H, W]` grey for 1."""
    return cv2.cvtColor(raw, cv2.COLOR_BGR2GRAY) if number == 1 and raw.ndim == 3 and raw.shape[2] == 3 else raw


def ordered(picture: np.ndarray, order: str) -> np.ndarray:
    """`[H, W, C]` in the order of the tensor: colours as `order` says, any other number as it is."""
    if picture.ndim == 2:
        return picture[..., None]
    return picture[..., ::-1] if order == "RGB" and picture.shape[2] == 3 else picture


def padded(picture: np.ndarray, border: tuple[int, int, int, int], value: int) -> np.ndarray:
    """With rows above and below, columns left and right, of one grey level."""
    if picture.ndim == 3 and picture.shape[2] > 4:  # OpenCV's colours have four numbers at most
        top, bottom, left, right = border
        return np.pad(picture, ((top, bottom), (left, right), (0, 0)), constant_values=value)
    return cv2.copyMakeBorder(picture, *border, cv2.BORDER_CONSTANT, value=(value,) * 4)


def arrays(folder: Path) -> list[Path]:
    """Files of arrays below a folder, sorted; empty for what is no folder."""
    return sorted(folder.rglob(f"*{ARRAY}")) if folder.is_dir() else []
