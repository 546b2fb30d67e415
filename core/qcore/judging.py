"""One figure for a model: what an evaluator says on labelled data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qcore.contract import Contract
from qcore.errors import UsageError
from qcore.manager import Plugins
from qcore.model import Model
from qcore.predictor import Predictor, assembled
from qcore.progress import Silent
from qcore.protocols import Progress, Session
from qcore.specs import EvaluatorSpec


def evaluator(task: str, plugins: Plugins) -> EvaluatorSpec:
    """The evaluator of a task.

    Raises:
        UsageError: No plugin has one.
    """
    found = [spec for spec in plugins.specs(EvaluatorSpec) if spec.task == task]
    if not found:
        raise UsageError(f"no evaluator for the task {task}", hint="qcore list-plugins --kind evaluator")
    return found[0]


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

    plugins: Plugins
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
        found: dict[str, Any] = made.evaluate(
            predictor, self.data, images=self.images, classes=self.classes, progress=self.progress
        )
        return found

    def name(self, contract: Contract) -> str:
        """Name of the main figure.

        Raises:
            UsageError: The evaluator has none.
        """
        spec = evaluator(contract.task, self.plugins)
        figure = getattr(spec.create(), "figure", None)
        if figure is None:
            raise UsageError(
                f"evaluator {spec.name} names no main figure", hint="a plugin can set its attribute `figure`"
            )
        return str(figure)

    def __call__(self, predictor: Predictor) -> float:
        """The main figure of a predictor."""
        return float(self.figures(predictor)[self.name(predictor.contract)])

    def session(self, model: Model, session: Session) -> float:
        """The main figure of a session that runs a model, under the contract's first protocol."""
        protocol = self.protocol(model.contract)
        return self(assembled(model.contract, session, "training", plugins=self.plugins, protocol=protocol))
