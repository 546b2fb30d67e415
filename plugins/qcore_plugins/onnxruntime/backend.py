"""The backend `onnxruntime`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime

from qcore.errors import FileError
from qcore.model import Model


class OnnxRuntimeSession:
    """A compiled graph on the CPU provider."""

    def __init__(self, session: onnxruntime.InferenceSession, precision: str) -> None:
        self._session = session
        self._outputs = [output.name for output in session.get_outputs()]
        self.executed_precision = precision

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference; all outputs."""
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(inputs)), strict=True))


class OnnxRuntimeBackend:
    """ONNX Runtime, CPU execution provider."""

    def compile(self, model: Model, *, options: Mapping[str, Any]) -> OnnxRuntimeSession:
        """Create the session.

        Raises:
            FileError: The runtime refuses the graph.
        """
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        if options.get("threads"):
            settings.intra_op_num_threads = options["threads"]
        try:
            session = onnxruntime.InferenceSession(
                model.module.SerializeToString(), settings, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            line = str(error).strip().splitlines()[0]
            raise FileError(f"{model.notes.get('file', 'model')}: ONNX Runtime refuses it ({line})") from error
        return OnnxRuntimeSession(session, "int8" if model.form.encoding == "qdq" else str(model.form.precision))
