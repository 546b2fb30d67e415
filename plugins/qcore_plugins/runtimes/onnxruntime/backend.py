"""The backend `onnxruntime`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from qcore.plugin import FileError, Model
from qcore_kit import machine
from qcore_kit.abilities import Executed
from qcore_kit.told import told

if TYPE_CHECKING:
    from qcore_plugins.runtimes.onnxruntime.saturating import SaturatingSession

EXACT = "session.x64quantprecision"
"""Lets ONNX Runtime make uint8 of int8 weights where the CPU has no VNNI: its kernels for those add in 32 bits
(microsoft/onnxruntime#12088)."""


class OnnxRuntimeSession:
    """A compiled graph on the CPU provider."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        precision: str,
        cpu: str | None,
        executed: Callable[[], Executed],
        name: str = "model",
    ) -> None:
        self._session, self._name = session, name
        self._executed = executed
        self._outputs = [output.name for output in session.get_outputs()]
        self.executed_precision = precision
        self.cpu = cpu

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference; all outputs.

        Raises:
            FileError: The graph does not take what the contract says.
        """
        try:
            return dict(zip(self._outputs, self._session.run(self._outputs, dict(inputs)), strict=True))
        except Exception as error:
            raise FileError(
                f"{self._name}: ONNX Runtime cannot run it ({told(error)})",
                hint="qcore check FILE says where the contract and the graph differ",
            ) from error

    def executed(self) -> Executed:
        """How many layers compute in integers; see `executed`. Compiles once more."""
        return self._executed()


class OnnxRuntimeBackend:
    """ONNX Runtime, CPU execution provider."""

    def compile(self, model: Model, *, options: Mapping[str, Any]) -> OnnxRuntimeSession | SaturatingSession:
        """Create the session; with `cpu`, of a quantized model, one that gives what that kind of CPU gives.

        Raises:
            FileError: The runtime refuses the graph.
            UsageError: The graph has operators whose result on that CPU is not known.
        """
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        if options.get("threads"):
            settings.intra_op_num_threads = options["threads"]
        cpu = options.get("cpu", machine.THIS)
        exact = options.get("x64quantprecision") or (cpu == "vnni" and machine.saturates())
        quantized = model.form.encoding == "qdq"
        if quantized and cpu == "avx2" and not exact and not machine.saturates():
            from qcore_plugins.runtimes.onnxruntime.saturating import SaturatingSession

            return SaturatingSession(model.module)
        if exact:
            settings.add_session_config_entry(EXACT, "1")
        try:
            session = onnxruntime.InferenceSession(
                model.module.SerializeToString(), settings, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            line = told(error)
            raise FileError(f"{model.notes.get('file', 'model')}: ONNX Runtime refuses it ({line})") from error
        precision = "int8" if model.form.encoding != "float" else str(model.form.precision)
        kind = "vnni" if exact else machine.kind()
        name = str(model.notes.get("file", "model"))
        return OnnxRuntimeSession(session, precision, kind, lambda: _executed(model, settings), name)


def _executed(model: Model, settings: onnxruntime.SessionOptions) -> Executed:
    from qcore_plugins.runtimes.onnxruntime.executed import executed

    return executed(model.module.SerializeToString(), settings)
