"""The backend `tensorrt`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from qcore.plugin import FileError, MissingDevice, Model, QcoreError, UsageError
from qcore_plugins.runtimes.tensorrt.format import Engine
from qcore_plugins.runtimes.tensorrt.packages import choose, load


class TensorRtSession:
    """One execution context with its buffers on the GPU, which are made once for each shape of the inputs.

    Takes NumPy arrays or PyTorch tensors; a tensor that lies on the same GPU with the right type is read where it is.
    Outputs are tensors on the GPU where all inputs were, NumPy arrays otherwise; the former are overwritten by the next
    run.
    """

    def __init__(self, trt: Any, plan: bytes, name: str, device: torch.device, precision: str) -> None:
        self.executed_precision = precision
        self._device = device
        self._name, self._runtime = name, trt.Runtime(trt.Logger(trt.Logger.ERROR))
        with torch.cuda.device(device):
            self._engine = self._runtime.deserialize_cuda_engine(plan)
            self._context: Any = self._engine.create_execution_context() if self._engine else None
        if self._context is None:
            raise FileError(
                f"{name}: this TensorRT ({trt.__version__}) or this GPU cannot load the engine, or its memory is full",
                hint="engines are made for one TensorRT and one kind of GPU: build it again here with qcore export",
            )
        self._stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._buffers: dict[str, torch.Tensor] = {}
        names = [self._engine.get_tensor_name(place) for place in range(self._engine.num_io_tensors)]
        given = trt.TensorIOMode.INPUT
        self._inputs = [name for name in names if self._engine.get_tensor_mode(name) == given]
        self._outputs = [name for name in names if name not in self._inputs]
        self._types = {name: _dtype(trt.nptype(self._engine.get_tensor_dtype(name))) for name in names}

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """One inference; all outputs by name.

        Raises:
            QcoreError: The engine fails.
            UsageError: It was not built for these shapes.
        """
        on_device = all(isinstance(inputs[name], torch.Tensor) and inputs[name].is_cuda for name in self._inputs)
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            for name in self._inputs:
                self._give(name, inputs[name])
            for name in self._outputs:
                buffer = self._buffer(name, tuple(self._context.get_tensor_shape(name)))
                self._context.set_tensor_address(name, buffer.data_ptr())
            if not self._context.execute_async_v3(self._stream.cuda_stream):
                raise QcoreError(f"{self._name}: the engine failed while it ran", hint="nvidia-smi tells of memory")
            outputs = {name: self._buffers[name] for name in self._outputs}
            given = outputs if on_device else {name: value.cpu().numpy() for name, value in outputs.items()}
        self._stream.synchronize()
        return given

    def _give(self, name: str, value: Any) -> None:
        source = torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value
        if not self._context.set_input_shape(name, tuple(source.shape)):
            raise UsageError(
                f"{self._name}: input {name} has shape {list(source.shape)}, for which the engine was not built",
                hint="--batch-range says for which batches an engine is built",
            )
        fits = source.device == self._device and source.dtype == self._types[name] and source.is_contiguous()
        held = source if fits else self._buffer(name, tuple(source.shape)).copy_(source, non_blocking=True)
        self._context.set_tensor_address(name, held.data_ptr())

    def _buffer(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        known = self._buffers.get(name)
        if known is None or tuple(known.shape) != shape:
            self._buffers[name] = torch.empty(shape, dtype=self._types[name], device=self._device)
        return self._buffers[name]


class TensorRtBackend:
    """Engines on an NVIDIA GPU."""

    def ready(self, options: Mapping[str, Any]) -> None:
        """Look for the GPU.

        Raises:
            MissingDevice: There is no such GPU.
        """
        index = options.get("device", 0)
        if not torch.cuda.is_available() or not 0 <= index < torch.cuda.device_count():
            devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
            raise MissingDevice(
                f"GPU {index} not found: PyTorch sees {devices}; a TensorRT engine needs one",
                hint="run it on a machine with an NVIDIA GPU, its driver, and a CUDA build of torch; qcore check "
                "FILE.onnx --target tensorrt judges files without one",
            )

    def compile(self, model: Model, *, options: Mapping[str, Any]) -> TensorRtSession:
        """Deserialize the engine, with the package that built it.

        Raises:
            FileError: It cannot be loaded here.
            MissingDevice: There is no such GPU.
        """
        self.ready(options)
        index = options.get("device", 0)
        engine: Engine = model.module
        trt = load(choose(engine.facts.get("package", "auto")))
        body = "int8" if model.form.encoding == "qdq" else str(model.form.precision)
        rest = f" ({model.form.precision})" if model.form.encoding == "qdq" else ""
        name = str(model.notes.get("file", "engine"))
        return TensorRtSession(trt, engine.plan, name, torch.device("cuda", index), body + rest)


def _dtype(kind: Any) -> torch.dtype:
    return torch.from_numpy(np.empty(0, kind)).dtype
