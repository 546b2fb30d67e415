"""Checks of what measures and verifies: evaluators and verifiers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, ClassVar

from qcore.contract import Contract
from qcore.errors import CheckFailed
from qcore.host.specs import ConverterSpec
from qcore.model import Model
from qcore.progress import Silent
from qcore.protocols import Evaluator, Verifier
from qcore.testing.conformance import Conformance, NeedsExample
from qcore.words import plain


class EvaluatorConformance(Conformance):
    """Checks of an evaluator; `contract`, `data`, `right` and `raw` are its examples."""

    kind: ClassVar[str] = "evaluator"
    protocol: ClassVar[Any] = Evaluator

    def contract(self) -> Contract:
        """Of a model that is measured."""
        raise NeedsExample(f"override contract(): of a model that evaluator {self.component} measures")

    def data(self, folder: Path) -> Any:
        """Labelled data for it, made in `folder`."""
        raise NeedsExample(f"override data(folder): labelled data for evaluator {self.component}")

    def right(self, place: int, item: Any) -> Any:
        """The result that is right for the input at a place of the data."""
        raise NeedsExample(f"override right(place, item): the result that evaluator {self.component} counts as right")

    def empty(self) -> Any:
        """A result in which nothing was found; None, which stands for an unreadable input, by default."""
        return None

    def raw(self, place: int, item: Any) -> Any:
        """An input as the preprocessor reads it; None where the evaluator does not look at it."""
        return None

    def test_figures_are_plain_numbers(self, tmp_path: Path) -> None:
        """What is reported can be written as JSON, and the main figure is among it."""
        figures = self._figures(self._tally(tmp_path, self.right))
        try:
            json.dumps(plain(figures), allow_nan=False)
        except (TypeError, ValueError) as error:
            self.fail(f"its figures cannot be written as JSON ({error})", "give numbers, text, and None for no figure")
        name = getattr(self.made(), "figure", None)
        if name is not None and name not in figures:
            self.fail(f"the main figure {name} is not among {', '.join(figures)}", "correct the attribute figure")

    def test_right_results_score_higher_than_none(self, tmp_path: Path) -> None:
        """The main figure tells good from bad, the higher the better."""
        name = getattr(self.made(), "figure", None)
        if name is None:
            return
        right = self._figures(self._tally(tmp_path, self.right))[name]
        none = self._figures(self._tally(tmp_path, lambda place, item: self.empty()))[name]  # noqa: ARG005
        if not (none is None or math.isnan(none) or right > none):
            self.fail(
                f"{name} of right results is {right}, of none {none}", "the main figure has to be higher for better"
            )

    def test_the_order_of_adding_does_not_matter(self, tmp_path: Path) -> None:
        """Results may come in any order."""
        forward = self._figures(self._tally(tmp_path, self.right))
        if self._figures(self._tally(tmp_path, self.right, backward=True)) != forward:
            self.fail("results added in another order give other figures", "key them by place")

    def test_data_that_are_missing_are_named(self, tmp_path: Path) -> None:
        """A path that is not there is an error that names it."""
        if not isinstance(self.data(tmp_path), str | Path):
            return
        missing = tmp_path / "missing-data"
        if self.refused("data that are missing", lambda: self._opened(missing), name=missing.name) is not None:
            self.fail("data that are missing are measured on", "raise a FileError that names the path")

    def _opened(self, data: Any) -> Any:
        spec = self.spec
        options = spec.typed(spec.settings({}))
        return self.made().open(self.contract(), data, options=options, progress=Silent())

    def _tally(self, folder: Path, result: Any, *, backward: bool = False) -> Any:
        tally = self._opened(self.data(folder))
        places = list(enumerate(tally.items))
        if not places:
            self.fail("the data have no inputs", "give some in data(folder)")
        for place, item in places[::-1] if backward else places:
            value = result(place, item)
            tally.add(place, None if value is None else self.raw(place, item), value)
        return tally

    def _figures(self, tally: Any) -> dict[str, Any]:
        return dict(tally.figures())


class VerifierConformance(Conformance):
    """Checks of a verifier; `step`, `before`, `good` and `bad` are its examples."""

    kind: ClassVar[str] = "verifier"
    protocol: ClassVar[Any] = Verifier

    def step(self) -> ConverterSpec:
        """Of the converter whose result is verified."""
        raise NeedsExample(f"override step(): the spec of a converter that verifier {self.component} follows")

    def before(self) -> Model:
        """What the converter was given."""
        raise NeedsExample(f"override before(): a model that a converter was given, for verifier {self.component}")

    def good(self) -> Model:
        """What it should have made."""
        raise NeedsExample(f"override good(): the right result of that converter, for verifier {self.component}")

    def bad(self) -> Model:
        """A result with a fault that the verifier finds."""
        raise NeedsExample(f"override bad(): a faulty result of that converter, for verifier {self.component}")

    def test_what_is_right_passes(self) -> None:
        """A faithful result raises nothing."""
        try:
            self._check(self.good())
        except CheckFailed as error:
            self.fail(f"a right result is refused: {error.message}", "allow what the converter may change")

    def test_a_fault_is_found(self) -> None:
        """A faulty result raises CheckFailed."""
        try:
            self._check(self.bad())
        except CheckFailed:
            return
        self.fail("a faulty result passes", "raise CheckFailed")

    def _check(self, after: Model) -> None:
        spec = self.spec
        options = spec.typed(spec.settings({}))
        self.made().check(self.step(), self.before(), after, options=options, host=self.host, progress=Silent())
