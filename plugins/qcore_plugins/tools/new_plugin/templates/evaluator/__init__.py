"""An evaluator: the part of inputs whose class was found."""

from collections.abc import Iterator

from qcore.plugin import EvaluatorSpec, hookimpl

qcore_api = "1"


@hookimpl
def qcore_evaluators() -> Iterator[EvaluatorSpec]:
    """The evaluator `mynet`."""
    yield EvaluatorSpec(
        name="mynet", summary="Accuracy", factory="qcore_mynet.component:Mynet", task="mynet-classification"
    )
