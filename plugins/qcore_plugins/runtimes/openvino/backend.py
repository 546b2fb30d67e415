"""The backend `openvino`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from threading import Lock
from typing import Any

import numpy as np
import openvino

from qcore.plugin import FileError, Model, UsageError
from qcore_kit import machine
from qcore_kit.abilities import Executed
from qcore_kit.told import told
from qcore_plugins.runtimes.openvino.another import AnotherSession, here, mask


class OpenVinoSession:
    """A compiled model with one infer request; threads that share it wait for one another."""

    def __init__(self, compiled: openvino.CompiledModel, outputs: list[str], quantized: bool) -> None:
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self._outputs = {name: compiled.output(name) for name in outputs}
        self._fixed = {name: port for name, port in self._outputs.items() if port.partial_shape.is_static}
        self._count = len(compiled.inputs)
        self._lock = Lock()
        self._own: dict[str, np.ndarray] = {}
        self._holders: dict[str, int] = {}
        hint = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        self.executed_precision = f"int8 ({hint})" if quantized else hint
        self.cpu = here()

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference; outputs are the caller's own: memory is used again once nobody holds it.

        Raises:
            UsageError: An input is missing; OpenVINO would take that of the last run.
        """
        if len(inputs) < self._count:
            raise UsageError(f"the model takes {self._count} inputs, got {', '.join(inputs) or 'none'}")
        with self._lock:
            own = {name: self._memory(name, port) for name, port in self._fixed.items()}
            given = self._request.infer(dict(inputs), share_inputs=True, share_outputs=True)
            return {name: own[name] if name in own else np.array(given[port]) for name, port in self._outputs.items()}

    def executed(self) -> Executed:
        """How many layers compute in integers; see `qcore_plugins.runtimes.openvino.executed`."""
        from qcore_plugins.runtimes.openvino.executed import executed

        return executed(self._compiled)

    def _memory(self, name: str, port: openvino.Output) -> np.ndarray:
        """Where an output is written: the last run's array, or a new one while somebody holds that or a view of it.

        New pages cost more than the copy that is saved, 3 of 20 ms for YOLOv5n in INT8.
        """
        array = self._own.get(name)
        if array is None or sys.getrefcount(array) > self._holders[name]:
            array = self._own[name] = np.empty(port.shape, port.element_type.to_dtype())
            self._request.set_tensor(port, openvino.Tensor(array, shared_memory=True))
            self._holders[name] = sys.getrefcount(array)
        return array


class OpenVinoBackend:
    """OpenVINO on the CPU.

    The precision is pinned to float32 unless asked otherwise: left alone it silently runs in bfloat16
    where the CPU can.
    """

    def compile(self, model: Model, *, options: Mapping[str, Any]) -> OpenVinoSession | AnotherSession:
        """Compile for latency; with `cpu`, a quantized model in a process of its own, as on that kind of CPU.

        Raises:
            FileError: OpenVINO refuses the model.
            MissingDevice: This CPU cannot compute as that one.
        """
        config: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if options.get("precision", "f32") != "auto":
            config["INFERENCE_PRECISION_HINT"] = options.get("precision", "f32")
        if options.get("threads"):
            config["INFERENCE_NUM_THREADS"] = options["threads"]
            config["ENABLE_CPU_PINNING"] = False  # else every session of the process is pinned to the same first cores
        names = [tensor.name for tensor in model.contract.outputs]
        cpu = options.get("cpu", machine.THIS)
        if model.form.encoding != "float" and mask(cpu):
            return AnotherSession(model.module, names, cpu, config)
        try:
            compiled = openvino.Core().compile_model(model.module, "CPU", config)
        except RuntimeError as error:
            line = told(RuntimeError(str(error).strip().splitlines()[-1]))
            raise FileError(f"{model.notes.get('file', 'model')}: OpenVINO refuses it ({line})") from error
        return OpenVinoSession(compiled, names, model.form.encoding != "float")
