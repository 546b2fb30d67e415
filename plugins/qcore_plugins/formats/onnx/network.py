"""An ONNX graph as recognition looks at it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from qcore.plugin import FileError, Tensor
from qcore_kit.detectors.network import Network, with_layout
from qcore_kit.onnxfile.normal import fixed, inferred
from qcore_kit.onnxfile.view import View

CHOOSING = {"ArgMax", "ReduceMax", "TopK"}


def network(graph: onnx.ModelProto, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Network:
    """The network of a graph whose input has a fixed size.

    Sizes of outputs that the graph leaves open are those of a run.

    Raises:
        FileError: ONNX Runtime cannot run it.
    """
    given = tuple(with_layout(tensor) for tensor in inputs)
    view = View(graph)
    known = inferred(graph)
    chosen = [fixed(known.get(node.input[0])) for node in graph.graph.node if node.op_type in CHOOSING]
    last = [view.value(view.behind(node.weight)) for node in _weights(view) if node.weight]
    read = Network(
        inputs=given,
        outputs=tuple(outputs),
        run=_session(graph),
        operations=frozenset(node.op for node in view.graph.nodes if node.name in view.graph.tail),
        widths=frozenset(int(weight.shape[0]) for weight in last if weight is not None and weight.ndim == 4),
        chosen=tuple(shape for shape in chosen if shape is not None),
    )
    open_ = [
        output for output in outputs if not all(isinstance(size, int) for size in output.shape) or not output.shape
    ]
    if not open_ or len(given) != 1 or given[0].layout is None:
        return read
    shapes = {name: value.shape for name, value in read.sample.items()}
    return replace(read, outputs=tuple(replace(output, shape=shapes[output.name]) for output in outputs))


def _weights(view: View) -> list[Any]:
    return [node for node in view.graph.weighted if node.name in view.graph.last]


def _session(graph: onnx.ModelProto) -> Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]:
    """A function that runs it; the session is made at the first call."""
    import onnxruntime

    sessions: list[onnxruntime.InferenceSession] = []

    def run(inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        try:
            if not sessions:
                provider = ["CPUExecutionProvider"]
                sessions.append(onnxruntime.InferenceSession(graph.SerializeToString(), settings, providers=provider))
            names = [output.name for output in sessions[0].get_outputs()]
            return dict(zip(names, sessions[0].run(names, dict(inputs)), strict=True))
        except Exception as error:
            line = str(error).strip().splitlines()[0]
            raise FileError(f"ONNX Runtime cannot run the graph ({line})") from error

    return run
