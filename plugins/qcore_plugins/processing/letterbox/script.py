"""Template for `qcore snippet`: what `Letterbox` does, for one set of parameters."""

import math

import cv2
import numpy as np

SIZE = (640, 640)  # height and width of the input
BATCH = 1
DTYPE = "float32"
FIT_WITHIN = (640, 640)  # the picture is scaled to fit in there
LONG_SIDE = False  # scale the longer side to the larger side of the input where it fits
UPSCALE = True  # whether smaller pictures grow
ROUNDING = "round"  # of scaled sides: round, ceil or int
AREA_DOWN = False  # area interpolation where the picture shrinks
CENTER = True  # padding on both sides, not only right and below
PAD_VALUE = 114
RGB = True
CHANNELS = 3  # 1 is grey; other numbers come as arrays
CHANNELS_LAST = False  # NHWC instead of NCHW
SCALE = 1 / 255  # None leaves 0..255
PICTURE_ASPECT = None  # true width / height of pictures that were stored stretched


def read(path):
    """A picture [H, W, 3], BGR, uint8, or an array [H, W, CHANNELS]."""
    if path.endswith(".npy"):
        return np.load(path)
    picture = cv2.imread(path, cv2.IMREAD_COLOR)
    if picture is None:
        raise SystemExit(f"{path}: not a readable picture")
    return picture


def preprocess(picture):
    """The input tensor [BATCH, 3, H, W], or [BATCH, H, W, 3], and where the picture lies in it."""
    whole = {"round": round, "ceil": lambda side: math.ceil(round(side, 6)), "int": int}[ROUNDING]
    if CHANNELS == 1 and picture.shape[2:] == (3,):
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    rows, columns = picture.shape[:2]
    true_rows = rows if PICTURE_ASPECT is None else max(1, round(columns / PICTURE_ASPECT))
    ratio = min(FIT_WITHIN[0] / true_rows, FIT_WITHIN[1] / columns)
    if LONG_SIDE:
        longest = max(FIT_WITHIN) / max(true_rows, columns)
        if whole(true_rows * longest) <= SIZE[0] and whole(columns * longest) <= SIZE[1]:
            ratio = longest
    if not UPSCALE:
        ratio = min(ratio, 1.0)
    height = max(1, min(SIZE[0], int(whole(true_rows * ratio))))
    width = max(1, min(SIZE[1], int(whole(columns * ratio))))
    if (height, width) != (rows, columns):
        area = AREA_DOWN and (height < rows or width < columns)
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if area else cv2.INTER_LINEAR)
    down, right = SIZE[0] - height, SIZE[1] - width
    top, left = (round(down / 2 - 0.1), round(right / 2 - 0.1)) if CENTER else (0, 0)
    picture = picture.reshape(*picture.shape[:2], CHANNELS)
    border = (top, down - top), (left, right - left), (0, 0)
    padded = np.pad(picture, border, constant_values=PAD_VALUE)
    ordered = padded[..., ::-1] if RGB else padded
    tensor = np.ascontiguousarray((ordered if CHANNELS_LAST else ordered.transpose(2, 0, 1))[None])
    if SCALE is not None:
        tensor = tensor.astype(np.result_type(DTYPE, np.float32))
        tensor *= tensor.dtype.type(SCALE)
    place = {"offset": (left, top), "factor": (width / columns, height / rows), "picture": (columns, rows)}
    return np.repeat(tensor.astype(DTYPE), BATCH, axis=0), place
