"""Template for `qcore snippet`; needs the packages of TensorRT and cuda-python."""

import numpy as np
import tensorrt
from cuda.bindings import runtime as cuda

RUNTIME = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))  # has to live as long as its engines


def load(path):
    """A function from input tensors by name to output tensors by name."""
    with open(path, "rb") as stream:
        engine = RUNTIME.deserialize_cuda_engine(stream.read())
    if engine is None:
        raise SystemExit(f"{path}: this TensorRT or this GPU cannot load the engine")
    context = engine.create_execution_context()
    names = [engine.get_tensor_name(place) for place in range(engine.num_io_tensors)]
    given = [name for name in names if engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT]
    stream, held = call(cuda.cudaStreamCreate()), {}

    def run(inputs):
        for name in given:
            context.set_input_shape(name, inputs[name].shape)
        arrays = {}
        for name in names:
            kind = tensorrt.nptype(engine.get_tensor_dtype(name))
            arrays[name] = (
                np.ascontiguousarray(inputs[name], kind)
                if name in given
                else np.empty(tuple(context.get_tensor_shape(name)), kind)
            )
            if held.get(name, (None, -1))[1] != arrays[name].nbytes:
                held[name] = call(cuda.cudaMalloc(arrays[name].nbytes)), arrays[name].nbytes
            context.set_tensor_address(name, int(held[name][0]))
        for name in given:
            copy(held[name][0], arrays[name].ctypes.data, arrays[name].nbytes, "cudaMemcpyHostToDevice")
        if not context.execute_async_v3(int(stream)):
            raise SystemExit(f"{path}: the engine does not run")
        call(cuda.cudaStreamSynchronize(stream))
        outputs = {name: arrays[name] for name in names if name not in given}
        for name, array in outputs.items():
            copy(array.ctypes.data, held[name][0], array.nbytes, "cudaMemcpyDeviceToHost")
        return outputs

    return run


def copy(target, source, size, way):
    """Copy memory between the machine and its GPU."""
    call(cuda.cudaMemcpy(target, source, size, getattr(cuda.cudaMemcpyKind, way)))


def call(answer):
    """What a call of the CUDA runtime gives; ends the program where it failed."""
    error, *values = answer
    if error != cuda.cudaError_t.cudaSuccess:
        raise SystemExit(f"CUDA: {error}")
    return values[0] if values else None
