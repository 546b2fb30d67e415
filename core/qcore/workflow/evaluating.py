"""One figure for a model: what an evaluator says on labelled data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qcore.contract import Contract
from qcore.errors import UsageError
from qcore.host.border import guarded
from qcore.host.choice import only
from qcore.host.plugins import Host
from qcore.host.specs import EvaluatorSpec
from qcore.model import Model
from qcore.progress import Silent, Skipping
from qcore.protocols import HasSections, Progress, Session, Tally
from qcore.workflow.predictor import Predictor, assembled


def evaluator(task: str, plugins: Host) -> EvaluatorSpec:
    """The evaluator of a task.

    Raises:
        UsageError: No plugin has one.
    """
    fitting = [spec for spec in plugins.specs(EvaluatorSpec) if spec.task == task]
    spec = only(fitting, what=f"evaluate the task {task}")
    if spec is None:
        raise UsageError(f"no evaluator for the task {task}", hint="qcore list-plugins --kind evaluator")
    return spec


@dataclass(frozen=True)
class Evaluation:
    """What a model came to on labelled data.

    Attributes:
        figures: By name.
        name: Of the main figure; None where the evaluator has none.
        contract: As it ran, with the parameters that it ran with.
        backend: Where it ran.
        executed_precision: That it computed in, as the runtime tells.
        protocol: Of the contract; None for its own parameters.
        sections: What a report shows of the run; empty unless asked for.
    """

    figures: Mapping[str, Any]
    name: str | None
    contract: Contract
    backend: str
    executed_precision: str
    protocol: str | None = None
    sections: Sequence[Any] = ()

    def __repr__(self) -> str:
        main = f"{self.name} {self.figures.get(self.name)}, " if self.name else ""
        return f"Evaluation({main}{self.backend}, {self.executed_precision}, protocol {self.protocol})"


@dataclass(frozen=True)
class Judge:
    """Labelled data, and how models are measured on it.

    Attributes:
        plugins: Where components come from.
        data: What the evaluator reads.
        options: Of the evaluator.
        progress: Shown over the data.
        strict: Whether an input that cannot be read raises its error.
    """

    plugins: Host
    data: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress = field(default_factory=Silent)
    strict: bool = False

    def protocol(self, contract: Contract, wanted: str | None = None) -> str | None:
        """The wanted one, else the contract's first: its family's way to be measured. None where it has none."""
        return wanted or next(iter(contract.protocols), None)

    def open(self, contract: Contract) -> Tally:
        """A tally for a model of that contract; errors as in `protocols.Evaluator.open`."""
        spec = evaluator(contract.task, self.plugins)
        options = spec.typed(spec.settings(self.options))
        return guarded(spec, spec.create().open(contract, self.data, options=options, progress=self.progress))

    def fill(self, tally: Tally, predictor: Predictor, places: Sequence[int] | None = None) -> None:
        """Run the inputs at those places, all by default, and add up the results; what cannot be read is skipped."""
        chosen = range(len(tally.items)) if places is None else places
        skipping = Skipping(self.progress)
        items = [tally.items[place] for place in chosen]
        outcomes = predictor.run(items, on_error=None if self.strict else lambda _, error: skipping.say(error.message))
        results = zip(chosen, outcomes, strict=True)
        for place, (_, raw, result) in self.progress.track(results, "evaluating", len(chosen)):
            tally.add(place, raw, result)
        skipping.end()

    def evaluation(self, predictor: Predictor, protocol: str | None = None, *, sections: bool = False) -> Evaluation:
        """All figures, with how they came about.

        Args:
            predictor: Measured.
            protocol: That it was assembled with.
            sections: Whether to collect what a report shows, where the tally can.
        """
        tally = self.open(predictor.contract)
        self.fill(tally, predictor)
        read = predictor.preprocessor.read if sections else None
        ran = predictor.backend, predictor.executed_precision, protocol
        return self.conclusion(tally, predictor.contract, *ran, read)

    def conclusion(
        self, tally: Tally, contract: Contract, backend: str, executed_precision: str, protocol: str | None = None,
        read: Callable[[Any], Any] | None = None,
    ) -> Evaluation:  # fmt: skip
        """What a tally that has been filled comes to; arguments as in `Evaluation`, `read` as for its sections."""
        figures, name = tally.figures(), self.named(contract)
        shown = tally.sections(read) if read and isinstance(tally, HasSections) else ()
        return Evaluation(figures, name, contract, backend, executed_precision, protocol, shown)

    def named(self, contract: Contract) -> str | None:
        """Name of the main figure; None where the evaluator has none."""
        return getattr(evaluator(contract.task, self.plugins).create(), "figure", None)

    def name(self, contract: Contract) -> str:
        """The same; UsageError where the evaluator has none."""
        if figure := self.named(contract):
            return figure
        raise UsageError(
            f"the evaluator of the task {contract.task} defines no primary metric",
            hint="a plugin can set its attribute `figure`",
        )

    def __call__(self, predictor: Predictor) -> float:
        """The main figure of a predictor."""
        return float(self.evaluation(predictor).figures[self.name(predictor.contract)])

    def session(self, model: Model, session: Session) -> float:
        """The main figure of a session that runs a model, under the contract's first protocol."""
        protocol = self.protocol(model.contract)
        return self(assembled(model.contract, session, "training", plugins=self.plugins, protocol=protocol))
