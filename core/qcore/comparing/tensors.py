"""The third step: raw output tensors, quantity by quantity."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from qcore.comparing.contracts import SUPPRESSED
from qcore.comparing.explaining import explained
from qcore.comparing.rung import Cause, Rung
from qcore.comparing.side import Seen, Side
from qcore.report import Table
from qcore.workflow.predictor import Predictor

LIMITS = {"float": 0.9999, "half": 0.999, "quantized": 0.9}
"""Lowest cosine of a quantity, by what may be expected of the numbers. Measured for YOLOv5n and a YOLOv9-T: float on
another runtime 1 - 1e-11, float16 .99999, bfloat16 .9997, INT8 .97; scores rounded to 0 with their boxes 0."""
SIZES = {"float": 1.015, "half": 1.05, "quantized": 10.0}
"""Largest factor between the values of two models, to which the cosine is blind. Measured for the scores of a YOLOv9-T
in INT8: 1.4 in a picture with one small object, 2.8 where there is none and all scores are near 0."""
COARSE = 257
"""Different values that an 8-bit tensor can have, and one for a clipped end."""


@dataclass
class Sums:
    """What cosine, mean and largest difference of a quantity follow from."""

    dot: float = 0.0
    left: float = 0.0
    right: float = 0.0
    ends: tuple[float, float] = (math.inf, -math.inf)
    apart: float = 0.0
    count: int = 0
    largest: float = 0.0
    where: str = ""
    values: tuple[float, float] = (0.0, 0.0)
    coarse: tuple[int, float] | None = None

    def add(self, one: Any, other: Any, place: Callable[[tuple[int, ...]], str], said: str) -> None:
        """The values of one input."""
        left, right = one.astype(np.float64), other.astype(np.float64)
        difference = np.abs(left - right)
        self.dot += float((left * right).sum())
        self.left += float((left * left).sum())
        self.right += float((right * right).sum())
        self.ends = min(self.ends[0], float(left.min())), max(self.ends[1], float(left.max()))
        self.apart += float(difference.sum())
        self.count += difference.size
        index = tuple(int(at) for at in np.unravel_index(int(difference.argmax()), difference.shape))
        if not (difference[index] < self.largest or math.isnan(self.largest)):
            self.largest, self.where = float(difference[index]), f"{place(index)} of {said}"
            self.values = float(left[index]), float(right[index])
        if self.coarse is None:
            self.coarse = _levels(one, other)

    @property
    def cosine(self) -> float:
        """Cosine similarity over all values: 1 where both are 0, 0 where one is, or where not all are numbers."""
        if not math.isfinite(self.apart):
            return 0.0
        if self.left == 0 or self.right == 0:
            return float(self.left == self.right)
        return self.dot / math.sqrt(self.left * self.right)

    @property
    def error(self) -> float:
        """The largest difference, as a part of the span of the reference's values."""
        span = self.ends[1] - self.ends[0]
        return self.largest / span if span > 0 else math.inf if self.largest else 0.0

    @property
    def size(self) -> float:
        """Root mean square of the candidate's values over that of the reference; 1 where both are 0."""
        if self.left == 0 or not math.isfinite(self.apart):
            return float(self.left == self.right)
        return math.sqrt(self.right / self.left)

    def within(self, exactness: str) -> bool:
        """Whether direction and size are those of equal values, as far as may be expected."""
        room = SIZES[exactness]
        return self.cosine >= LIMITS[exactness] and 1 / room <= self.size <= room

    def figures(self) -> dict[str, Any]:
        """By name."""
        return {
            "cosine": self.cosine,
            "size": self.size,
            "mean_difference": self.apart / max(self.count, 1),
            "largest_difference": self.largest,
            "error": self.error,
            "where": self.where,
            "reference": self.values[0],
            "candidate": self.values[1],
        }


def _levels(one: Any, other: Any) -> tuple[int, float]:
    """How many different values the other has, and their distance; (0, 0) where the first has no more."""
    found = np.unique(other)
    if len(found) > COARSE or len(np.unique(one)) < 4 * len(found):
        return 0, 0.0
    return len(found), float(np.diff(found).min()) if len(found) > 1 else 0.0


def parts(predictor: Predictor, seen: Seen) -> Mapping[str, tuple[Any, Callable[[tuple[int, ...]], str]]]:
    """Quantities of one input's outputs: what the postprocessor takes them apart to, else the outputs themselves."""
    apart = getattr(predictor.postprocessor, "quantities", None)
    found: Mapping[str, Any] = apart(seen.outputs, seen.tensor) if apart else {}
    return found or {name: (np.asarray(value), lambda index: str(list(index))) for name, value in seen.outputs.items()}


@dataclass
class Tensors:
    """Collects raw outputs of both sides."""

    reference: Side
    candidate: Side
    sums: dict[str, Sums] = field(default_factory=dict)
    refused: str = ""
    first: tuple[Any, Seen, Seen] | None = None

    def add(self, item: Any, raw: Any, one: Seen, other: Seen) -> None:
        """One input."""
        if self._listed():
            self.refused = "the outputs are lists in order of confidence, which rounding changes: see detections"
            return
        left, right = parts(self.reference.predictor, one), parts(self.candidate.predictor, other)
        shapes = [{name: value.shape for name, (value, _) in each.items()} for each in (left, right)]
        if shapes[0] != shapes[1]:
            told = ["; ".join(f"{name} {list(shape)}" for name, shape in each.items()) for each in shapes]
            self.refused = f"the outputs cannot be laid side by side: {told[0]} against {told[1]}"
            return
        for name, (value, place) in left.items():
            self.sums.setdefault(name, Sums()).add(value, right[name][0], place, str(item))
        if self.first is None:
            self.first = raw, one, other

    def _listed(self) -> bool:
        """Whether the graphs suppress, and are not exact enough for both lists to have one order."""
        both = [*self.reference.contract.outputs, *self.candidate.contract.outputs]
        listed = all(output.stage == SUPPRESSED for output in both)
        return listed and worse(self.reference, self.candidate) != "float"

    def rung(self) -> Rung:
        """The verdict over all inputs."""
        if self.refused:
            return Rung("raw tensors", "none", self.refused)
        exactness = worse(self.reference, self.candidate)
        limit = LIMITS[exactness]
        bad = [name for name, sums in self.sums.items() if not sums.within(exactness)]
        worst = min(self.sums, key=lambda name: self.sums[name].cosine)
        sized = [f"{name} {self.sums[name].size:.3g} times as large" for name in bad if self.sums[name].cosine >= limit]
        rows = [
            (name, sums.cosine, sums.size, sums.apart / max(sums.count, 1), sums.largest, sums.where, *sums.values)
            for name, sums in self.sums.items()
        ]
        columns = ("quantity", "cosine", "size", "mean difference", "largest", "where", "REF", "CANDIDATE")
        verdicts = ["fail" if name in bad else "pass" for name in self.sums]
        found = tuple(self._causes(bad, limit)) if bad else ()
        wanted = f"cosine of every quantity {limit:g}, sizes within a factor of {SIZES[exactness]:g}"
        return Rung(
            "raw tensors",
            "fail" if bad else "pass",
            "; ".join([f"lowest cosine {self.sums[worst].cosine:.5f} ({worst})", *sized]),
            found,
            f"{wanted}, for a {exactness} model",
            {name: sums.figures() for name, sums in self.sums.items()},
            [Table(columns, rows, verdicts=verdicts)],  # type: ignore[arg-type]
        )

    def _causes(self, bad: list[str], limit: float) -> Iterator[Cause]:
        for name in bad:
            if not math.isfinite(self.sums[name].apart):
                text = f"{name}: {self.sums[name].values[1]:g} instead of {self.sums[name].values[0]:g}"
                hint = "where a layer begins to give them, its values are beyond those of float16, or a scale is broken"
                yield Cause("values that are no numbers", f"{text}, at {self.sums[name].where}", hint)
                return
            count, step = self.sums[name].coarse or (0, 0.0)
            if count:
                told = f"{count} different values" + (f", {step:.3g} apart" if count > 1 else "")
                yield Cause(
                    f"quantized tail: {name}",
                    f"CANDIDATE gives only {told}, for {name}: what is behind the last convolutions was quantized, "
                    "with one scale for values of different size",
                    "leave everything behind the last convolutions float; qcore quantize does",
                )
        found = list(self._other_inputs(limit))
        yield from found or self._explained(bad, limit)

    def _explained(self, bad: list[str], limit: float) -> Iterator[Cause]:
        assert self.first is not None  # noqa: S101 - there are values of which some are bad
        sides = zip((self.reference, self.candidate), self.first[1:], strict=True)
        left, right = (parts(side.predictor, seen) for side, seen in sides)
        for name in bad:
            value, place = left[name]
            if value.ndim > 1:
                channel = partial(_channel, place, value.ndim)
                yield from explained(name, value, right[name][0], channel, limit)

    def _other_inputs(self, limit: float) -> Iterator[Cause]:
        """Whether the candidate does as the reference when it is fed otherwise."""
        variants = getattr(self.candidate.predictor.preprocessor, "variants", None)
        if variants is None or self.first is None:
            return
        raw, one, other = self.first
        left = parts(self.reference.predictor, one)
        before = _cosines(left, parts(self.candidate.predictor, other))
        if min(before.values()) >= limit:
            return
        for name, text, tensor in variants(raw):
            made = self.candidate.predictor.session.run(self.candidate.fed(tensor))
            outputs = {name: value[:1] for name, value in made.items()}
            after = _cosines(left, parts(self.candidate.predictor, Seen(tensor, outputs, None)))
            if min(after.values()) >= limit and min(after.values()) > min(before.values()):
                yield Cause(
                    name,
                    f"CANDIDATE gives what REF gives if it is fed otherwise: {text}",
                    "its graph was made for another input than its contract says; export it again",
                )


def _channel(place: Callable[[tuple[int, ...]], str], axes: int, index: int) -> str:
    """What a place on the last axis is called: the last part of what the whole place is."""
    return place((*[0] * (axes - 1), index)).rsplit(", ", 1)[-1]


def _cosines(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for name, (value, place) in left.items():
        sums = Sums(coarse=(0, 0.0))
        sums.add(value, right[name][0], place, "")
        found[name] = sums.cosine
    return found


def worse(reference: Side, candidate: Side) -> str:
    """The less exact of the two, of which no more can be expected."""
    order = list(LIMITS)
    return max((reference.exactness, candidate.exactness), key=order.index)
