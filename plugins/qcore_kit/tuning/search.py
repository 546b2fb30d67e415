"""An accuracy budget: the fewest layers left float with which a quantized model loses no more than allowed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qcore.plugin import CheckFailed, FileError, replacing


@dataclass
class Trials:
    """What was measured, kept in a file so that a killed search goes on where it was.

    Attributes:
        path: The file; None keeps nothing.
        identity: What the figures depend on; a file of another identity is refused.
        reference: The float model's figure, once it is known.
        known: Number of layers left float -> figure.
    """

    path: Path | None
    identity: dict[str, Any]
    reference: float | None = None
    known: dict[int, float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path | None, identity: dict[str, Any]) -> Trials:
        """Continue a file, or begin one.

        Raises:
            FileError: It is no such file, or of another search.
        """
        if path is None or not path.exists():
            return cls(path, identity)
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            same, reference = kept["identity"] == identity, kept["reference"]
            known = {int(count): float(figure) for count, figure in kept["trials"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FileError(f"{path}: not a search record", hint="delete the file to start a new search") from error
        if not same:
            raise FileError(
                f"{path}: belongs to a search with a different model, data, quantizer, options or calibration",
                hint="delete the file to start a new search",
            )
        return cls(path, identity, reference, known)

    def keep(self, count: int, figure: float) -> None:
        """Add a figure."""
        self.known[count] = figure
        self.write()

    def write(self, **result: Any) -> None:
        """Write the file, with further fields."""
        if self.path is not None:
            trials = {str(count): figure for count, figure in sorted(self.known.items())}
            record = {"identity": self.identity, "reference": self.reference, "trials": trials, **result}
            with replacing(self.path) as temporary:
                temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Found:
    """What a search ended with.

    Attributes:
        layers: Left float, the most sensitive first.
        figure: Of the model with those.
        whole: Of the model with none left float.
        reference: Of the float model.
    """

    layers: tuple[str, ...]
    figure: float
    whole: float
    reference: float


@dataclass(frozen=True)
class Fit:
    """What a drop should be, by all that was measured.

    A figure on some hundred inputs is as uncertain as the drops that are allowed, and the first of several numbers of
    layers that happens to be measured within the budget is most often a lucky one. So drops are taken to be in
    proportion to the noise that is still quantized, and the factor is fitted to every measurement (least squares).

    Attributes:
        left: Part of the noise that is quantized with the first n layers float, for n from 0 on: from 1 to 0.
    """

    left: Sequence[float]

    @classmethod
    def of(cls, shares: Sequence[float]) -> Fit:
        """From each layer's part of the noise."""
        return cls([1 - sum(shares[:count]) / sum(shares) for count in range(len(shares))] + [0.0])

    def drop(self, count: int, drops: Mapping[int, float]) -> float:
        """With the first `count` layers float, by the drops measured for some numbers; never below 0."""
        square = sum(self.left[number] ** 2 for number in drops)
        factor = sum(drop * self.left[number] for number, drop in drops.items()) / square if square else 0.0
        return max(0.0, factor) * self.left[count]


def search(
    ranked: Sequence[str],
    measure: Callable[[Sequence[str]], float],
    *,
    reference: float,
    max_drop: float,
    trials: Trials,
    say: Callable[[str], None],
    fit: Fit | None = None,
) -> Found:
    """The smallest number of layers, taken in order, that meets the budget.

    Numbers are doubled until one meets it, then halved towards the last that did not: about 2 log2(n) measurements.
    With a fit, a number meets it where both the figure measured and the one fitted to all measurements do.

    Args:
        ranked: Layers, the most sensitive first.
        measure: The figure with these layers left float.
        reference: The float model's figure.
        max_drop: How much less is allowed.
        trials: What is known already.
        say: Where to tell each figure.
        fit: Evens the noise of the measurements out.

    Raises:
        CheckFailed: Not even with all of them.
    """

    def meets(count: int) -> bool:
        if count not in trials.known:
            trials.keep(count, measure(ranked[:count]))
        figure = trials.known[count]
        drops = {number: reference - known for number, known in trials.known.items()}
        fitted = fit.drop(count, drops) if fit else drops[count]
        told = f", {-fitted:+.4f} by all measurements" if fit else ""
        changed = f"{-drops[count]:+.4f}{told}, allowed {-max_drop:+.4f}"
        say(f"{count} of {len(ranked)} layers float: {figure:.4f} ({changed})")
        return max(drops[count], fitted) <= max_drop

    failed, count = -1, 0
    while not meets(count):
        if count == len(ranked):
            raise _cannot(trials, len(ranked), reference, max_drop)
        failed, count = count, min(max(1, 2 * count), len(ranked))
    while count - failed > 1:
        middle = (failed + count) // 2
        if meets(middle):
            count = middle
        else:
            failed = middle
    while not meets(count):  # what was measured since may have raised the fit
        if count == len(ranked):
            raise _cannot(trials, len(ranked), reference, max_drop)
        count += 1
    return Found(tuple(ranked[:count]), trials.known[count], trials.known[0], reference)


def _cannot(trials: Trials, layers: int, reference: float, max_drop: float) -> CheckFailed:
    best = max(trials.known, key=lambda number: trials.known[number])
    return CheckFailed(
        f"a drop of at most {max_drop:g} cannot be met, even with all {layers} layers in float; best: "
        f"{trials.known[best]:.4f} with {best}, {trials.known[best] - reference:+.4f}",
        hint="increase --max-drop, use more calibration inputs, or train with --qat",
    )
