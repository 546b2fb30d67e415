"""Where a picture comes to lie in a tensor, and the pixels of that tensor."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Self

import cv2
import numpy as np

from qcore.plugin import Tensor, UsageError
from qcore_kit.parameters import parse
from qcore_plugins.processing.letterbox import channels

ROUNDING: dict[str, Callable[[float], int]] = {
    "round": round,
    "ceil": lambda value: math.ceil(round(value, 6)),
    "int": int,
}
"""`ceil` sees 640.0000001, which 1080 * (640 / 1080) could give, as 640."""


@dataclass(frozen=True)
class Parameters:
    """What a contract says of `letterbox`.

    Attributes:
        fit: `contain` scales to fit both sides, `long-side` scales the longer side to the larger input side.
        fit_within: Pixels to fit within instead of the input size: one number, or (height, width).
        rounding: How scaled sides become whole: `round`, `ceil`, `int`.
        interpolation: `linear`, or `area-down`: area when shrinking, linear when growing.
        upscale: Whether smaller pictures grow.
        pad: `center` splits the padding over both sides, `bottom-right` puts it at the end.
        pad_value: Grey level of the padding, 0..255.
        channels: Order of the channels in the tensor, `RGB` or `BGR`; `gray` for one, `given` for other numbers.
        scale: Factor on pixel values; None leaves 0..255.
        picture_aspect: True width / height of pictures that were stored stretched; None for square pixels.
        rect: Pad only to the next multiple of `stride`, so that the tensor has the picture's aspect ratio.
        stride: Of the model, in pixels.
    """

    fit: str = "contain"
    fit_within: Any = None
    rounding: str = "round"
    interpolation: str = "linear"
    upscale: bool = True
    pad: str = "center"
    pad_value: int = 114
    channels: str = "RGB"
    scale: float | None = 1 / 255
    picture_aspect: float | None = None
    rect: bool = False
    stride: int = 32

    CHOICES = {  # noqa: RUF012 - no field: it has no annotation
        "fit": ("contain", "long-side"),
        "rounding": tuple(ROUNDING),
        "interpolation": ("linear", "area-down"),
        "pad": ("center", "bottom-right"),
        "channels": ("RGB", "BGR", "gray", "given"),
    }

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Parameters:
        """The parameters, every one known and in range.

        Raises:
            UsageError: An unknown name or value: a pipeline that is not understood must not run as another one.
        """
        parameters = parse(cls, "letterbox", given)
        for name, choices in cls.CHOICES.items():
            if name in given and given[name] not in choices:
                said = reprlib.repr(given[name])
                raise UsageError(f"letterbox: {name} {said} is not one of {', '.join(choices)}")
        within = parameters.fit_within if isinstance(parameters.fit_within, (list, tuple)) else [parameters.fit_within]
        if parameters.fit_within is not None and not all(isinstance(side, int) and side > 0 for side in within):
            raise UsageError(f"letterbox: fit_within {parameters.fit_within!r} is neither pixels nor [height, width]")
        if not 0 <= parameters.pad_value <= 255:
            raise UsageError(f"letterbox: pad_value {parameters.pad_value} is no grey level, 0 to 255")
        if parameters.scale is not None and not 0 < parameters.scale < math.inf:
            raise UsageError(
                f"letterbox: scale {parameters.scale} is not above 0", hint="null leaves pixels as they are, 0 to 255"
            )
        if parameters.stride < 1:
            raise UsageError(f"letterbox: stride {parameters.stride} is not a positive number")
        if parameters.picture_aspect is not None and not parameters.picture_aspect > 0:
            raise UsageError(f"letterbox: picture_aspect {parameters.picture_aspect} is not above 0")
        return parameters


@dataclass(frozen=True)
class Geometry:
    """Where the picture lies in the input tensor.

    Attributes:
        picture: Height and width of the picture in pixels.
        resized: Height and width after scaling.
        offset: Rows above and columns left of it.
        tensor: Height and width of the tensor.
    """

    picture: tuple[int, int]
    resized: tuple[int, int]
    offset: tuple[int, int]
    tensor: tuple[int, int]

    def to_tensor(self, xyxy: np.ndarray) -> np.ndarray:
        """Boxes `[N, 4]` from picture to tensor coordinates, both in pixels."""
        result: np.ndarray = np.asarray(xyxy, np.float64) * self._factor() + self._shift()
        return result

    def to_picture(self, xyxy: np.ndarray) -> np.ndarray:
        """Boxes `[N, 4]` from tensor to picture coordinates, not clipped."""
        result: np.ndarray = (np.asarray(xyxy, np.float64) - self._shift()) / self._factor()
        return result

    def clip(self, xyxy: np.ndarray) -> np.ndarray:
        """Boxes `[N, 4]` in picture coordinates, cut at the picture's edges."""
        height, width = self.picture
        result: np.ndarray = np.clip(xyxy, 0, (width, height, width, height))
        return result

    def _factor(self) -> np.ndarray:
        y, x = (after / before for after, before in zip(self.resized, self.picture, strict=True))
        return np.array((x, y, x, y))

    def _shift(self) -> np.ndarray:
        top, left = self.offset
        return np.array((left, top, left, top), np.float64)


class Fitting:
    """Makes the tensor of a picture as a contract says."""

    def __init__(self, params: Mapping[str, Any], inputs: Sequence[Tensor]) -> None:
        """Configure from a contract.

        Args:
            params: See `Parameters`.
            inputs: One input, `[B, 3, H, W]`, or `[B, H, W, 3]` where its layout is NHWC, with numbers for H and W.

        Raises:
            UsageError: Unknown parameters, or an input of another kind.
        """
        self.params = Parameters.parse(params)
        shape = inputs[0].shape if len(inputs) == 1 else ()
        height, width = inputs[0].sizes("HW") if len(shape) == 4 else ("", "")
        if not (isinstance(height, int) and isinstance(width, int) and min(height, width) > 0):
            said = " and ".join(reprlib.repr(list(tensor.shape)) for tensor in inputs[:3]) or "none"
            raise UsageError(f"letterbox wants one input [B, 3, H, W] with a fixed size, not {said}")
        self.name, self.channels_last = inputs[0].name, inputs[0].layout == "NHWC"
        self.size = height, width
        self.count = channels.count(inputs[0], self.params.channels)
        self._batch = shape[0] if isinstance(shape[0], int) else 1
        try:
            self.dtype = np.dtype(inputs[0].dtype)
        except TypeError as error:
            raise UsageError(f"letterbox: input {self.name} is of no type that NumPy has") from error
        if self.dtype.kind != "f" and self.params.scale is not None:
            raise UsageError(
                f"letterbox: input {inputs[0].name} is {self.dtype}, which scale {self.params.scale:.4g} would make 0",
                hint="--preprocess scale=None",
            )

    def fitted(self, raw: np.ndarray) -> tuple[np.ndarray, Geometry]:
        """The input tensor of a picture `[H, W, 3]` uint8 in BGR order, and where the picture lies in it.

        The tensor is `[1, 3, H, W]`, or `[1, H, W, 3]` where the layout of the input is NHWC.
        """
        geometry = self.geometry(raw.shape[0], raw.shape[1])
        return self.laid(raw, geometry), geometry

    def laid(self, raw: np.ndarray, geometry: Geometry) -> np.ndarray:
        """`[1, C, H, W]`, or `[1, H, W, C]`, with the picture laid where a geometry says."""
        picture = self._placed(channels.taken(raw, self.count), geometry)
        ordered = channels.ordered(picture, self.params.channels)
        planes = np.ascontiguousarray((ordered if self.channels_last else ordered.transpose(2, 0, 1))[None])
        if self.params.scale is None:
            return planes.astype(self.dtype)
        computed = planes.astype(np.result_type(self.dtype, np.float32))
        computed *= computed.dtype.type(self.params.scale)
        return computed.astype(self.dtype, copy=False)

    def place(self, raw: np.ndarray) -> tuple[np.ndarray, Geometry]:
        """The picture resized and padded, `[H, W, 3]` uint8 in BGR order, and its geometry."""
        geometry = self.geometry(raw.shape[0], raw.shape[1])
        return self._placed(raw, geometry), geometry

    def changed(self, **params: Any) -> Self:
        """The same with other parameters."""
        copied = copy(self)
        copied.params = replace(self.params, **params)
        return copied

    def _placed(self, raw: np.ndarray, geometry: Geometry) -> np.ndarray:
        height, width = geometry.resized
        placed = raw
        if geometry.resized != raw.shape[:2]:
            shrinks = height < raw.shape[0] or width < raw.shape[1]
            area = self.params.interpolation == "area-down" and shrinks
            placed = cv2.resize(raw, (width, height), interpolation=cv2.INTER_AREA if area else cv2.INTER_LINEAR)
        (top, left), (rows, columns) = geometry.offset, geometry.tensor
        border = top, rows - height - top, left, columns - width - left
        return channels.padded(placed, border, self.params.pad_value)

    def geometry(self, height: int, width: int) -> Geometry:
        """Where a picture of that size comes to lie.

        Raises:
            UsageError: It has no pixels.
        """
        if not height or not width:
            raise UsageError(f"an image of {width}x{height} pixels cannot be resized")
        stored = height, width
        if self.params.picture_aspect is not None:
            height = max(1, round(width / self.params.picture_aspect))
        room = self._room()
        ratio = min(room[0] / height, room[1] / width)
        if self.params.fit == "long-side":
            longest = max(room) / max(height, width)
            whole = ROUNDING[self.params.rounding]
            if whole(height * longest) <= self.size[0] and whole(width * longest) <= self.size[1]:
                ratio = longest
        if not self.params.upscale:
            ratio = min(ratio, 1.0)
        resized = self._whole(height * ratio, 0), self._whole(width * ratio, 1)
        tensor = self.size
        if self.params.rect:
            stride = self.params.stride
            tensor = tuple(math.ceil(side / stride) * stride for side in resized)  # type: ignore[assignment]
        offset = 0, 0
        if self.params.pad == "center":
            # round(d - 0.1), as upstream splits an odd number of padding pixels
            offset = tuple(round((outer - inner) / 2 - 0.1) for outer, inner in zip(tensor, resized, strict=True))  # type: ignore[assignment]
        return Geometry(stored, resized, offset, tensor)

    def _whole(self, side: float, axis: int) -> int:
        """A scaled side in whole pixels: at least one (panoramas), at most what the tensor has room for."""
        return max(1, min(self.size[axis], int(ROUNDING[self.params.rounding](side))))

    def _room(self) -> tuple[int, int]:
        within = self.params.fit_within
        if within is None:
            return self.size
        return (int(within), int(within)) if isinstance(within, (int, float)) else (int(within[0]), int(within[1]))
