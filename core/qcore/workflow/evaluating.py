"""One figure for a model: what an evaluator says on labelled data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qcore.contract import Contract
from qcore.errors import UsageError
from qcore.host.choice import only
from qcore.host.plugins import Host
from qcore.host.specs import EvaluatorSpec
from qcore.model import Model
from qcore.progress import Silent
from qcore.protocols import HasComparison, HasReport, Progress, Session
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


@dataclass(frozen=True)
class Judge:
    """Labelled data, and how models are measured on it.

    Attributes:
        plugins: Where components come from.
        data: What the evaluator reads.
        images: Where the inputs lie, if not beside it.
        classes: Class of the model -> class of the data, where the names differ.
        progress: Shown over the data.
    """

    plugins: Host
    data: Any
    images: Any = None
    classes: Mapping[str, str] | None = None
    progress: Progress = field(default_factory=Silent)

    def protocol(self, contract: Contract) -> str | None:
        """The contract's first protocol: its family's way to be measured. None where it has none."""
        return next(iter(contract.protocols), None)

    def figures(self, predictor: Predictor) -> dict[str, Any]:
        """All figures of a predictor."""
        made = evaluator(predictor.contract.task, self.plugins).create()
        found: dict[str, Any] = made.evaluate(predictor, self.data, **self._settings)
        return found

    def report(self, predictor: Predictor) -> tuple[dict[str, Any], Sequence[Any]]:
        """All figures and what a report shows of the run; no sections where the evaluator has none."""
        made = evaluator(predictor.contract.task, self.plugins).create()
        if not isinstance(made, HasReport):
            return self.figures(predictor), ()
        found: tuple[dict[str, Any], Sequence[Any]] = made.report(predictor, self.data, **self._settings)
        return found

    def evaluation(self, predictor: Predictor, protocol: str | None = None, *, sections: bool = False) -> Evaluation:
        """All figures, with how they came about.

        Args:
            predictor: Measured.
            protocol: That it was assembled with.
            sections: Whether to collect what a report shows.
        """
        figures, shown = self.report(predictor) if sections else (self.figures(predictor), ())
        contract, precision = predictor.contract, predictor.executed_precision
        return Evaluation(figures, self.named(contract), contract, predictor.backend, precision, protocol, shown)

    @property
    def _settings(self) -> dict[str, Any]:
        return {"images": self.images, "classes": self.classes, "progress": self.progress}

    def named(self, contract: Contract) -> str | None:
        """Name of the main figure; None where the evaluator has none."""
        return getattr(evaluator(contract.task, self.plugins).create(), "figure", None)

    def name(self, contract: Contract) -> str:
        """The same.

        Raises:
            UsageError: The evaluator has none.
        """
        spec, figure = evaluator(contract.task, self.plugins), self.named(contract)
        if figure is None:
            raise UsageError(
                f"evaluator {spec.name} names no main figure", hint="a plugin can set its attribute `figure`"
            )
        return figure

    def __call__(self, predictor: Predictor) -> float:
        """The main figure of a predictor."""
        return float(self.figures(predictor)[self.name(predictor.contract)])

    def items(self, contract: Contract) -> Sequence[Any]:
        """The inputs of the data; empty where the evaluator does not tell.

        Raises:
            UsageError: No class of the model is one of the data.
        """
        made = evaluator(contract.task, self.plugins).create()
        if not isinstance(made, HasComparison):
            return ()
        comparison = made.comparison(
            contract, contract, self.data, images=self.images, classes=self.classes, max_drop=0.0
        )
        items: Sequence[Any] = comparison.items
        return items

    def session(self, model: Model, session: Session) -> float:
        """The main figure of a session that runs a model, under the contract's first protocol."""
        protocol = self.protocol(model.contract)
        return self(assembled(model.contract, session, "training", plugins=self.plugins, protocol=protocol))
