"""An accuracy budget: the fewest layers left float with which a quantized model loses no more than allowed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qcore.errors import CheckFailed, FileError
from qcore.files import replacing


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
            raise FileError(f"{path}: not the record of a search", hint="remove it to search anew") from error
        if not same:
            raise FileError(
                f"{path}: the record of another search (other model, data, quantizer or budget)",
                hint="remove it to search anew",
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
            said = {"identity": self.identity, "reference": self.reference, "trials": trials, **result}
            with replacing(self.path) as temporary:
                temporary.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


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


def search(
    ranked: Sequence[str],
    measure: Callable[[Sequence[str]], float],
    *,
    reference: float,
    max_drop: float,
    trials: Trials,
    say: Callable[[str], None],
) -> Found:
    """The smallest number of layers, taken in order, that meets the budget.

    Numbers are doubled until one meets it, then halved towards the last that did not: about 2 log2(n) measurements.

    Args:
        ranked: Layers, the most sensitive first.
        measure: The figure with these layers left float.
        reference: The float model's figure.
        max_drop: How much less is allowed.
        trials: What is known already.
        say: Where to tell each figure.

    Raises:
        CheckFailed: Not even with all of them.
    """

    def meets(count: int) -> bool:
        if count not in trials.known:
            trials.keep(count, measure(ranked[:count]))
        figure = trials.known[count]
        change = figure - reference
        say(f"{count} of {len(ranked)} layers float: {figure:.4f} ({change:+.4f}, allowed {-max_drop:+.4f})")
        return reference - figure <= max_drop

    failed, count = -1, 0
    while not meets(count):
        if count == len(ranked):
            best = max(trials.known, key=lambda number: trials.known[number])
            raise CheckFailed(
                f"no number of float layers keeps the drop within {max_drop:g}: the best is "
                f"{trials.known[best]:.4f} with {best} of {len(ranked)}, {trials.known[best] - reference:+.4f}",
                hint="a larger --max-drop, more calibration inputs, or --qat",
            )
        failed, count = count, min(max(1, 2 * count), len(ranked))
    while count - failed > 1:
        middle = (failed + count) // 2
        if meets(middle):
            count = middle
        else:
            failed = middle
    return Found(tuple(ranked[:count]), trials.known[count], trials.known[0], reference)
