"""Template for `qcore snippet`."""

import openvino


def load(path):
    """A function from input tensors by name to output tensors by name."""
    pinned = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}  # left alone, it may choose bf16
    compiled = openvino.Core().compile_model(path, "CPU", pinned)
    return lambda inputs: {name: value for port, value in compiled(inputs).items() for name in port.get_names()}
