"""How somebody else's input tensor of a picture differs from the contract's: found by trying the usual mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from qcore_plugins.processing.letterbox.fitting import Fitting, Geometry

Finding = tuple[str, str]
"""Name of a difference, and a line about it."""
FITS = 2.0
"""Mean distance in grey levels up to which a tried tensor is the given one: resizing in float and in integers differ
by less than 1, another interpolation by 3 and more on a picture with edges."""
CLOSE = 1e-3
"""Relative distance at which two factors are equal."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures in RGB order, which classification models are fed with."""


def _cv(flag: int) -> Callable[[np.ndarray, tuple[int, int]], np.ndarray]:
    return lambda picture, size: cv2.resize(picture, size[::-1], interpolation=flag)


def _sampled(picture: np.ndarray, size: tuple[int, int], *, corners: bool) -> np.ndarray:
    """Bilinear with the corners of both pictures laid on one another, or with pixels placed at their corner."""
    axes = []
    for wanted, there in zip(size, picture.shape[:2], strict=True):
        step = (there - 1) / max(wanted - 1, 1) if corners else there / wanted
        axes.append((np.arange(wanted) * step).astype(np.float32))
    grid = np.meshgrid(axes[1], axes[0])
    return cv2.remap(picture, grid[0], grid[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _antialiased(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear with a triangle as wide as the step, as Pillow resizes."""
    resized = picture.astype(np.float64)
    for axis in (0, 1):
        resized = np.moveaxis(np.tensordot(_triangle(picture.shape[axis], size[axis]), resized, (1, axis)), 0, axis)
    return resized


def _triangle(there: int, wanted: int) -> np.ndarray:
    """Weights `[wanted, there]`."""
    step = there / wanted
    middle = (np.arange(wanted) + 0.5) * step - 0.5
    weights = np.clip(1 - np.abs(np.arange(there)[None] - middle[:, None]) / max(step, 1.0), 0, None)
    result: np.ndarray = weights / weights.sum(1, keepdims=True)
    return result


RESIZES: dict[str, Callable[[np.ndarray, tuple[int, int]], np.ndarray]] = {
    "linear": _cv(cv2.INTER_LINEAR),
    "area": _cv(cv2.INTER_AREA),
    "nearest": _cv(cv2.INTER_NEAREST),
    "cubic": _cv(cv2.INTER_CUBIC),
    "lanczos": _cv(cv2.INTER_LANCZOS4),
    "antialiased linear (as Pillow does)": _antialiased,
    "corners": lambda picture, size: _sampled(picture, size, corners=True),
    "no half": lambda picture, size: _sampled(picture, size, corners=False),
}


@dataclass(frozen=True)
class _Try:
    """A way to make the tensor, and how near it comes.

    Attributes:
        what: Differences from the contract, of the geometry.
        geometry: Where the picture lies.
        swapped: Whether the channels are in the other order than the contract's.
        factor: Of the values, one a channel in the tensor's order.
        offset: Likewise.
        distance: Mean distance in grey levels.
    """

    what: tuple[Finding, ...]
    geometry: Geometry
    swapped: bool
    factor: np.ndarray
    offset: np.ndarray
    distance: float


def explain(letterbox: Fitting, raw: np.ndarray, given: np.ndarray) -> list[Finding]:
    """What differs, in words.

    Args:
        letterbox: Configured from the contract.
        raw: The picture `[H, W, 3]` uint8 in BGR order.
        given: The tensor in question.

    Returns:
        Pairs of a name and a line; nothing where no tried combination comes near.
    """
    found, planes = _laid_out(np.asarray(given), letterbox.channels_last)
    if planes is None:
        return found
    if planes.shape[1:] != letterbox.size:
        height, width = planes.shape[1:]
        return [*found, ("another size", f"{height}x{width} instead of {letterbox.size[0]}x{letterbox.size[1]}")]
    own = _own_resize(letterbox, raw)
    tries = [_tried(letterbox, raw, planes, what, place, "linear") for what, place in _geometries(letterbox, raw)]
    tries += [_tried(letterbox, raw, planes, (), letterbox.geometry(*raw.shape[:2]), own)]
    best = min(tries, key=lambda each: each.distance)
    kinds = {name: _tried(letterbox, raw, planes, best.what, best.geometry, name) for name in RESIZES}
    kind = min((own, *RESIZES), key=lambda name: kinds[name].distance)
    best = kinds[kind]
    if best.distance > FITS:
        return found
    found += best.what
    if kind != own and kinds[own].distance > best.distance + CLOSE:
        found.append(_resized(kind, own))
    if best.swapped:
        other = "BGR" if letterbox.params.channels == "RGB" else "RGB"
        found.append(("BGR swapped", f"the channels are {other}, the contract says {letterbox.params.channels}"))
    return [*found, *_values(letterbox, best), *_padding(letterbox, planes, best)]


def _laid_out(given: np.ndarray, channels_last: bool) -> tuple[list[Finding], np.ndarray | None]:
    """Planes `[3, H, W]` in float64, and what had to be done to get them."""
    findings: list[Finding] = []
    if given.ndim == 3:
        findings.append(("no batch axis", f"{list(given.shape)}, the model takes four axes"))
        given = given[None]
    if given.ndim != 4 or given.shape[0] < 1:
        return [("another tensor shape", f"{list(given.shape)} is no batch of pictures")], None
    last = given.shape[1] != 3 and given.shape[3] == 3
    if last != channels_last and 3 in given.shape[1::2]:
        own, other = ("NHWC", "NCHW") if channels_last else ("NCHW", "NHWC")
        findings.append(("channels last" if last else "channels first", f"the axes are {other}, the model takes {own}"))
    if last:
        given = given.transpose(0, 3, 1, 2)
    if given.shape[1] != 3:
        return [("another tensor shape", f"{list(given.shape)} has no three channels")], None
    return findings, given[0].astype(np.float64)


def _own_resize(letterbox: Fitting, raw: np.ndarray) -> str:
    height, width = letterbox.geometry(*raw.shape[:2]).resized
    shrinks = height < raw.shape[0] or width < raw.shape[1]
    return "area" if letterbox.params.interpolation == "area-down" and shrinks else "linear"


def _geometries(letterbox: Fitting, raw: np.ndarray) -> Iterator[tuple[tuple[Finding, ...], Geometry]]:
    """Where the picture could lie: as the contract says, and otherwise."""
    size = raw.shape[0], raw.shape[1]
    own = letterbox.geometry(*size)
    yield (), own
    told = f"{letterbox.size[0]}x{letterbox.size[1]}"
    stretched = replace(own, resized=letterbox.size, offset=(0, 0), tensor=letterbox.size)
    yield (
        (("stretched input", f"the picture is stretched to {told}, its aspect ratio is lost"),),
        stretched,
    )
    sides = {"center": "split over both sides", "bottom-right": "at the bottom and right"}
    for pad, words in sides.items():
        if pad == letterbox.params.pad:
            continue
        at = letterbox.changed(pad=pad).geometry(*size)
        if at != own:
            yield (("padding side", f"the padding is {words}, the contract says {letterbox.params.pad}"),), at
    for name, value in (("fit", "contain"), ("fit", "long-side"), ("rounding", "round"), ("rounding", "ceil"),
                        ("rounding", "int"), ("upscale", True), ("upscale", False), ("picture_aspect", None),
                        ("fit_within", None)):  # fmt: skip
        if value == getattr(letterbox.params, name):
            continue
        at = letterbox.changed(**{name: value}).geometry(*size)
        if at != own:
            text = f"{at.resized[0]}x{at.resized[1]} instead of {own.resized[0]}x{own.resized[1]}: {name} is {value}"
            yield (("another scale of the picture", text),), at


def _tried(
    letterbox: Fitting, raw: np.ndarray, planes: np.ndarray, what: tuple[Finding, ...], at: Geometry, kind: str
) -> _Try:
    """The best channel order, factor and offset for a geometry and an interpolation, by least squares."""
    (top, left), (height, width) = at.offset, at.resized
    there = planes[:, top : top + height, left : left + width].reshape(3, -1)
    same = (height, width) == raw.shape[:2]
    picture = (raw if same else RESIZES[kind](raw, (height, width))).astype(np.float64).reshape(-1, 3).T
    ordered = picture[::-1] if letterbox.params.channels == "RGB" else picture
    tries = []
    for swapped, channels in ((False, ordered), (True, ordered[::-1])):
        factor, offset = _line(channels, there)
        left_over = np.abs(there - factor[:, None] * channels - offset[:, None]).mean(1)
        distance = float((left_over / np.maximum(np.abs(factor), 1e-12)).mean())
        tries.append(_Try(what, at, swapped, factor, offset, distance))
    return min(tries, key=lambda each: each.distance)


def _line(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factor and offset for each row, by least squares."""
    mean = x.mean(1), y.mean(1)
    x, y = x - mean[0][:, None], y - mean[1][:, None]
    factor = (x * y).sum(1) / np.maximum((x * x).sum(1), 1e-12)
    return factor, mean[1] - factor * mean[0]


def _resized(kind: str, own: str) -> Finding:
    if kind == "corners":
        return "half-pixel", "the resize aligns corners (align_corners), which shifts pixels"
    if kind == "no half":
        return "half-pixel", "pixels are taken at their corner instead of their middle, so the picture is shifted"
    return "interpolation", f"{kind}, the contract says {own}"


def _values(letterbox: Fitting, best: _Try) -> Iterator[Finding]:
    """Factor and offset in words."""
    scale = letterbox.params.scale
    own = 1.0 if scale is None else float(scale)

    def is_(factor: float | np.ndarray, offset: float | np.ndarray = 0.0) -> bool:
        near = np.abs(best.factor / factor - 1) < 20 * CLOSE
        return bool(near.all() and (np.abs(best.offset - offset) < FITS * np.abs(best.factor)).all())

    if is_(own):
        return
    deviation, mean = np.array(DEVIATION), np.array(MEAN)
    span = "0..255" if scale is None else "0..1"
    if is_(1.0):
        yield "scale", f"values are 0..255, the contract says {span}"
    elif is_(1 / 255):
        yield "scale", f"values are 0..1, the contract says {span}"
    elif is_(own * own):
        yield "scale", f"values are scaled twice by {own:.6f}"
    elif is_(1 / 127.5, -1.0):
        yield "scale", f"values are -1..1, the contract says {span}"
    elif any(is_(1 / 255 / deviation[::step], -(mean / deviation)[::step]) for step in (1, -1)):
        yield (
            "scale",
            f"values are normalized with the ImageNet mean and standard deviation, but the contract says {span}",
        )
    else:
        factor, offset = best.factor.mean(), best.offset.mean()
        yield "scale", f"values are the pixels times {factor:.5g} plus {offset:.3g}, the contract says times {own:.5g}"


def _padding(letterbox: Fitting, planes: np.ndarray, best: _Try) -> Iterator[Finding]:
    """The grey level outside the picture."""
    (top, left), (height, width) = best.geometry.offset, best.geometry.resized
    outside = np.ones(planes.shape[1:], bool)
    outside[top : top + height, left : left + width] = False
    if not outside.any():
        return
    grey = (planes[:, outside] - best.offset[:, None]) / best.factor[:, None]
    value = float(np.median(grey))
    if abs(value - letterbox.params.pad_value) > FITS:
        yield "padding value", f"{round(value)}, the contract says {letterbox.params.pad_value}"


def variants(letterbox: Fitting, raw: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """Tensors that a model may have been made for instead of the contract's: name, line, `[1, 3, H, W]`."""
    own, _ = letterbox.fitted(raw)
    channels = letterbox.params.channels
    other = "BGR" if channels == "RGB" else "RGB"
    turned = own[..., ::-1] if letterbox.channels_last else own[:, ::-1]
    yield "BGR swapped", f"with {other} instead of {channels}", np.ascontiguousarray(turned)
    scale = letterbox.params.scale
    if scale is not None:
        yield "scale", "with values 0..255 instead of scaled ones", own / own.dtype.type(scale)
        yield "scale", "with values scaled twice", own * own.dtype.type(scale)
    for what, at in _geometries(letterbox, raw):
        if what and what[0][0] in ("stretched input", "padding side"):
            yield what[0][0], what[0][1], letterbox.laid(raw, at)
