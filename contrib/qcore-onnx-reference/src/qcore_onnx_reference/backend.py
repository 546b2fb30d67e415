"""The backend `onnx-reference`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx.reference import ReferenceEvaluator

from qcore.plugin import FileError, Model


class ReferenceSession:
    """Evaluates the graph operator by operator."""

    def __init__(self, evaluator: ReferenceEvaluator, precision: str) -> None:
        self._evaluator = evaluator
        self.executed_precision = precision

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference; all outputs."""
        names = self._evaluator.output_names
        return dict(zip(names, self._evaluator.run(names, dict(inputs)), strict=True))


class ReferenceBackend:
    """onnx.reference."""

    def compile(self, model: Model, *, options: Mapping[str, Any]) -> ReferenceSession:  # noqa: ARG002
        """Prepare the evaluator.

        Raises:
            FileError: The graph has an operator without a reference implementation.
        """
        try:
            evaluator = ReferenceEvaluator(model.module)
        except NotImplementedError as error:
            raise FileError(f"{model.notes.get('file', 'model')}: no reference implementation ({error})") from error
        return ReferenceSession(evaluator, "f32, Q/DQ simulated" if model.form.encoding == "qdq" else "f32")
