"""The backend `mynet`."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

from qcore.plugin import Arrays, FileError, Model, UsageError


class Session:
    """A graph, ready to run; threads that share it wait for one another."""

    executed_precision = "f32"

    def __init__(self, evaluator: Any, ranks: Mapping[str, int]) -> None:
        self._evaluator, self._ranks, self._lock = evaluator, ranks, Lock()

    def run(self, inputs: Arrays) -> dict[str, Any]:
        """One inference: all outputs by name; UsageError where an input is missing or of another rank."""
        for name, rank in self._ranks.items():
            if name not in inputs or inputs[name].ndim != rank:
                raise UsageError(f"input {name}: expected an array of {rank} axes")
        names = self._evaluator.output_names
        with self._lock:
            return dict(zip(names, self._evaluator.run(names, dict(inputs)), strict=True))


class Mynet:
    """Compiles nothing: the evaluator walks the graph."""

    def compile(self, model: Model, *, options: Mapping[str, Any]) -> Session:
        """The session; FileError where an operator has no implementation."""
        from onnx.reference import ReferenceEvaluator

        try:
            evaluator = ReferenceEvaluator(model.module)
        except NotImplementedError as error:
            raise FileError(
                f"{model.notes.get('file', 'model')}: no implementation of an operator ({error})"
            ) from error
        return Session(evaluator, {tensor.name: len(tensor.shape) for tensor in model.contract.inputs})
