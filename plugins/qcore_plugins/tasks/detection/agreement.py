"""How far two models find the same objects in the same pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qcore.plugin import Contract, counted
from qcore_kit.boxes.detections import Detections
from qcore_plugins.tasks.detection.chance import beyond, error, highest
from qcore_plugins.tasks.detection.pairing import CONFIDENCE, MARGIN, NEAR, above, pair
from qcore_plugins.tasks.detection.partial import dead_classes, shifted

SAME = 0.9
"""Overlap from which two boxes are the same."""
LOST = 0.05
"""Part of the objects that may be found by one model only."""
BIAS, SHIFT = 0.02, 0.05
"""How far confidences may lie apart on average: with their sign, and without."""
OFFSET = 0.03
"""How far edges of boxes may lie apart on average with their sign, as a part of the box: rounding moves them both ways
(YOLOv5n and the demo in INT8, against float: at most .006)."""
FAINT: Mapping[str, Any] = {"confidence": 0.01}
"""Parameters of the postprocessor under which `agreement` wants its results: where nothing is above the deployed
confidence, candidates below it tell."""
NEARLY_ALL: Mapping[str, Any] = {"confidence": 1e-7, "max_detections": 100}
"""Parameters under which a picture of noise has boxes: YOLOv5n's best has .05, the third .0005, the demo's less."""
LEVELS = (0.1, 0.05, 0.02)
"""Lower confidences that are tried in turn. Boxes from there on need a partner of half that confidence: at .02, 3 to
5 % have none in YOLOv5n's INT8 files, against the float model."""
OPEN = 0.3
"""Part of the boxes that may still be lost, at 95 % confidence, in what is called enough to judge by."""


@dataclass(frozen=True)
class _Bounds:
    """What is allowed, as `LOST`, `BIAS`, `SHIFT` and `OFFSET`."""

    lost: float
    bias: float
    shift: float
    offset: float


BOUNDS = {"reference": _Bounds(LOST, BIAS, SHIFT, OFFSET), "float": _Bounds(0.2, 0.15, 0.2, 2 * OFFSET)}
"""By what a file is held against. Rounding is all that may part it from its fake-quantized reference. From the float
model quantization parts it, in YOLOv5n by 1 to 7 % of the boxes and .03 in confidence: --max-drop judges that, but half
of the boxes it must not lose."""


def agreement(
    pairs: Iterable[tuple[Detections, Detections]], *, contract: Contract | None = None, against: str = "reference"
) -> dict[str, Any]:
    """Match the boxes of each class one to one, the most confident first, and compare.

    The verdict allows what rounding does: a value that float arithmetic puts on the other side of half a step becomes
    one step in integers, and thirty layers later a tenth of all values are a step apart. Such differences move boxes by
    pixels and confidences both ways; a fault loses objects or moves confidences one way. Counts are judged by the
    exact binomial test, so that a single one of few boxes decides nothing.

    Args:
        pairs: Of a reference and a candidate, for each picture; below the deployed confidence too, as `FAINT` asks.
        contract: Tells the deployed confidence.
        against: What the first of each pair is of: `reference`, which computes the same numbers by other means, or
            `float`, the model before quantization.

    Returns:
        boxes: Of the reference above the threshold.
        different: Boxes of either without a partner at IoU .9, as a part of all.
        lost: The same at IoU .5.
        shift, bias, largest_shift: Distance of the confidences of partners: mean, mean with its sign, largest.
        agree: Whether all that is within bounds.
        enough: Whether there are boxes enough for that to prove anything.
        faults: One line for each bound that is broken.
        levels: Confidences that were judged at, with boxes, lost and gained.
        summary: One line.
    """
    each = list(pairs)
    params = contract.postprocess.params if contract else {}
    deployed = float(params.get("confidence", CONFIDENCE))
    bounds = BOUNDS[against]
    levels = [_level(each, deployed, deployed + _margin(deployed), deployed)]
    for confidence in LEVELS:
        if levels[-1].enough:
            break
        if confidence < deployed:
            levels.append(_level(each, confidence / 2, confidence, confidence))
    judged = [levels[0], *(level for level in levels[1:] if level is levels[-1])]
    moved, figures = _confidences(each, deployed)
    faults = [fault for level in judged for fault in level.faults(bounds.lost)] + _moved(moved, bounds)
    faint = min(LEVELS[-1], deployed)
    if against == "float" and levels[-1].confidence > faint:
        faults += _level(each, faint / 2, faint, faint).faults(bounds.lost)
    faults += [*dead_classes(each, faint), *shifted(each, faint, bounds.offset)]
    return {
        **figures,
        "agree": not faults,
        "enough": levels[-1].enough,
        "faults": faults,
        "levels": [vars(level) for level in judged],
        "summary": _summary(figures, judged, deployed),
    }


@dataclass(frozen=True)
class _Level:
    """Boxes from a confidence on, with and without a partner at IoU .5.

    Attributes:
        confidence: Where it is.
        boxes: Of the reference that need a partner.
        lost: Those without one.
        found: Boxes of the candidate that need a partner.
        gained: Those without one.
    """

    confidence: float
    boxes: int
    lost: int
    found: int
    gained: int

    @property
    def enough(self) -> bool:
        """Whether the boxes are enough to tell that most of them are not lost."""
        return highest(self.lost, self.boxes) <= OPEN

    def faults(self, allowed: float) -> Iterable[str]:
        """What is beyond chance."""
        where = f"at confidence {self.confidence:g}"
        if beyond(self.lost, self.boxes, allowed):
            yield f"{self.lost} of {counted(self.boxes, 'box')} lost {where}"
        if beyond(self.gained, self.found, allowed):
            yield f"{self.gained} of {counted(self.found, 'box')} gained {where}"


def _level(pairs: Sequence[tuple[Detections, Detections]], least: float, sure: float, confidence: float) -> _Level:
    counts = np.zeros(4, int)
    for one, other in pairs:
        left, right = above(one, least), above(other, least)
        partners = pair(left, right, NEAR, sure=sure)
        both = ((each.confidence >= sure).sum() for each in (left, right))
        counts += np.array([next(both), partners.lost.sum(), next(both), partners.gained.sum()])
    return _Level(confidence, *map(int, counts))


def _margin(confidence: float) -> float:
    """How far above a low confidence a box has to be to need a partner."""
    return min(MARGIN, confidence)


def _confidences(pairs: Sequence[tuple[Detections, Detections]], least: float) -> tuple[np.ndarray, dict[str, Any]]:
    """How far confidences of partners are apart, and the figures at the deployed confidence."""
    boxes = sure = 0
    alone = {SAME: 0, NEAR: 0}
    shifts: list[float] = []
    for one, other in pairs:
        left, right = above(one, least), above(other, least)
        boxes += len(left)
        sure += sum(int((each.confidence >= least + _margin(least)).sum()) for each in (left, right))
        for limit in alone:
            partners = pair(left, right, limit, sure=least + _margin(least))
            alone[limit] += int(partners.lost.sum() + partners.gained.sum())
        both = partners.partner >= 0
        shifts += (right.confidence[partners.partner[both]] - left.confidence[both]).tolist()
    moved = np.array(shifts, np.float64)
    different, lost = (alone[limit] / max(sure, 1) for limit in (SAME, NEAR))
    shift, bias = (float(values.mean()) if len(moved) else 0.0 for values in (np.abs(moved), moved))
    largest = float(np.abs(moved).max(initial=0))
    figures = {"boxes": boxes, "different": different, "lost": lost, "shift": shift, "bias": bias}
    return moved, {**figures, "largest_shift": largest}


def _moved(moved: np.ndarray, bounds: _Bounds) -> list[str]:
    """Confidences that moved beyond what chance does to a mean of few."""
    if not len(moved):
        return []
    bias, shift = float(moved.mean()), float(np.abs(moved).mean())
    room = error(float((moved**2).sum()), bias, len(moved), bounds.shift)
    which = "higher" if bias > 0 else "lower"
    if abs(bias) - room > bounds.bias:
        return [f"confidences are {abs(bias):.3f} {which} on average"]
    return [f"confidences are {shift:.3f} apart on average"] if shift - room > bounds.shift else []


def _summary(figures: Mapping[str, Any], levels: Sequence[_Level], deployed: float) -> str:
    boxes = figures["boxes"]
    first = f"no box above confidence {deployed:g}"
    if boxes or figures["lost"]:
        first = (
            f"{counted(boxes, 'box')}, {figures['different']:.1%} unmatched at IoU {SAME} and "
            f"{figures['lost']:.1%} at {NEAR}, mean confidence difference {figures['shift']:.4f} "
            f"({figures['bias']:+.4f}), largest {figures['largest_shift']:.4f}"
        )
    return "; ".join([first, *map(_lower, levels[1:])])


def _lower(level: _Level) -> str:
    """What is below the deployed confidence."""
    if not level.boxes and not level.gained:
        return f"none above {level.confidence:g} either"
    return f"{level.boxes} above {level.confidence:g}, {level.lost} of them lost, {level.gained} gained"
