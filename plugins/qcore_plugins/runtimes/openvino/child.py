"""The process of its own in which OpenVINO computes as on another CPU: what it is asked stands on its standard input.

It is run as a module and imports OpenVINO and NumPy only. Arguments: the model's file, and the configuration as JSON.
Each message, in both directions, is a line of JSON, the name, type and shape of each tensor, and then their bytes.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from typing import IO

import numpy as np


def send(stream: IO[bytes], tensors: Mapping[str, np.ndarray]) -> None:
    """Write one message."""
    values = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    head = [(name, value.dtype.str, value.shape) for name, value in values.items()]
    stream.write(json.dumps(head).encode() + b"\n")
    for value in values.values():
        stream.write(value.tobytes())
    stream.flush()


def receive(stream: IO[bytes]) -> dict[str, np.ndarray] | None:
    """Read one message; None at the end of the stream."""
    line = stream.readline()
    if not line:
        return None
    arrays = {}
    for name, kind, shape in json.loads(line):
        size = np.dtype(kind).itemsize * math.prod(shape)
        arrays[name] = np.frombuffer(stream.read(size), kind).reshape(shape)
    return arrays


def main() -> None:
    """Compile, answer with an empty message, and then with the outputs of each message."""
    import openvino

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a runtime prints must not get between the answers
    path, config = sys.argv[1:]
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", json.loads(config))
    request = compiled.create_infer_request()
    names = {name: port for port in compiled.outputs for name in port.get_names()}
    send(answers, {})
    while (inputs := receive(sys.stdin.buffer)) is not None:
        given = request.infer(inputs)
        send(answers, {name: np.array(given[port]) for name, port in names.items()})


if __name__ == "__main__":
    main()
