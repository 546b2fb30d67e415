"""The third step: raw output tensors, quantity by quantity."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from qcore.plugin import split
from qcore_kit.abilities import HasVariants
from qcore_kit.comparison.rung import Cause, Rung
from qcore_kit.reports import Table
from qcore_kit.verification.quantity import COSINES, SIZE_FACTORS, Sums
from qcore_kit.verification.raw_outputs import SUPPRESSED, Seen, quantities
from qcore_plugins.tools.compare.explaining import explained
from qcore_plugins.tools.compare.side import Side


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
            self.refused = "the outputs are sorted by confidence, and rounding changes the order; see step detections"
            return
        left, right = quantities(self.reference.predictor, one), quantities(self.candidate.predictor, other)
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
        limit = COSINES[exactness]
        bad = [name for name, sums in self.sums.items() if not sums.within(exactness)]
        worst = min(self.sums, key=lambda name: self.sums[name].cosine)
        sized = [f"{name} {self.sums[name].size:.3g} times as large" for name in bad if self.sums[name].cosine >= limit]
        rows = [
            (name, sums.cosine, sums.size, sums.apart / max(sums.count, 1), sums.largest, sums.where, *sums.values)
            for name, sums in self.sums.items()
        ]
        columns = ("quantity", "cosine", "size", "mean difference", "largest", "where", "REF", "CANDIDATE")
        verdicts = ["fail" if name in bad else "pass" for name in self.sums]
        causes = tuple(self._causes(bad, limit)) if bad else ()
        wanted = f"cosine of every quantity {limit:g}, sizes within a factor of {SIZE_FACTORS[exactness]:g}"
        return Rung(
            "raw tensors",
            "fail" if bad else "pass",
            "; ".join([f"lowest cosine {self.sums[worst].cosine:.5f} ({worst})", *sized]),
            causes,
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
        causes = list(self._other_inputs(limit))
        yield from causes or self._explained(bad, limit)

    def _explained(self, bad: list[str], limit: float) -> Iterator[Cause]:
        assert self.first is not None  # noqa: S101 - there are values of which some are bad
        sides = zip((self.reference, self.candidate), self.first[1:], strict=True)
        left, right = (quantities(side.predictor, seen) for side, seen in sides)
        for name in bad:
            value, place = left[name]
            if value.ndim > 1:
                channel = partial(_channel, place, value.ndim)
                yield from explained(name, value, right[name][0], channel, limit)

    def _other_inputs(self, limit: float) -> Iterator[Cause]:
        """Whether the candidate does as the reference when it is fed otherwise."""
        preprocessor = self.candidate.predictor.preprocessor
        if not isinstance(preprocessor, HasVariants) or self.first is None:
            return
        raw, one, other = self.first
        left = quantities(self.reference.predictor, one)
        before = _cosines(left, quantities(self.candidate.predictor, other))
        if min(before.values()) >= limit:
            return
        for name, text, tensor in preprocessor.variants(raw):
            arrays = {self.candidate.contract.inputs[0].name: tensor}
            made = self.candidate.predictor.session.run(self.candidate.fed(arrays))
            (outputs,) = split(made, self.candidate.contract.outputs, 1)
            after = _cosines(left, quantities(self.candidate.predictor, Seen(arrays, outputs, None)))
            if min(after.values()) >= limit and min(after.values()) > min(before.values()):
                yield Cause(
                    name,
                    f"CANDIDATE matches REF for a different input: {text}",
                    "its graph was made for another input than its contract says; export it again",
                )


def _channel(place: Callable[[tuple[int, ...]], str], axes: int, index: int) -> str:
    """What a place on the last axis is called: the last part of what the whole place is."""
    return place((*[0] * (axes - 1), index)).rsplit(", ", 1)[-1]


def _cosines(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, float]:
    cosines = {}
    for name, (value, place) in left.items():
        sums = Sums(coarse=(0, 0.0))
        sums.add(value, right[name][0], place, "")
        cosines[name] = sums.cosine
    return cosines


def worse(reference: Side, candidate: Side) -> str:
    """The less exact of the two, of which no more can be expected."""
    order = list(COSINES)
    return max((reference.exactness, candidate.exactness), key=order.index)
