"""An OpenVINO model as recognition looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino

from qcore.plugin import FileError, Tensor
from qcore_kit.detectors.network import Network, with_layout

LAST = {"Convolution", "GroupConvolution"}
CHOOSING = {"TopK", "ReduceMax"}


def network(model: openvino.Model, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Network:
    """The network of a model whose input has a fixed size."""
    found, convolutions = _behind(model)
    return Network(
        inputs=tuple(with_layout(tensor) for tensor in inputs),
        outputs=outputs,
        run=_Runner(model, [output.name for output in outputs]),
        operations=frozenset(op.get_type_name() for op in found),
        widths=frozenset(int(op.get_output_partial_shape(0)[1].get_length()) for op in convolutions if _channels(op)),
        chosen=tuple(
            tuple(op.input_value(0).get_shape())
            for op in found
            if op.get_type_name() in CHOOSING and op.input_value(0).get_partial_shape().is_static
        ),
    )


def _behind(model: openvino.Model) -> tuple[list[Any], list[Any]]:
    """The operations behind the last convolutions, and those; a convolution behind a Softmax is part of the decode."""
    softened: set[str] = set()
    for op in model.get_ordered_ops():
        sources = [value.get_node().get_friendly_name() for value in op.input_values()]
        if op.get_type_name() == "Softmax" or any(source in softened for source in sources):
            softened.add(op.get_friendly_name())
    waiting = [result.input_value(0).get_node() for result in model.get_results()]
    layers, last = {}, {}
    while waiting:
        op = waiting.pop()
        name = op.get_friendly_name()
        if name in layers or name in last:
            continue
        if op.get_type_name() in LAST and name not in softened:
            last[name] = op
            continue
        layers[name] = op
        waiting += [value.get_node() for value in op.input_values()]
    return list(layers.values()), list(last.values())


def _channels(op: Any) -> bool:
    shape = op.get_output_partial_shape(0)
    return len(shape) == 4 and bool(shape[1].is_static)


class _Runner:
    """Compiles at the first call, in float32."""

    def __init__(self, model: openvino.Model, outputs: list[str]) -> None:
        self._model, self._outputs = model, outputs
        self._compiled: openvino.CompiledModel | None = None

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        if self._compiled is None:
            config = {"INFERENCE_PRECISION_HINT": "f32"}
            self._compiled = openvino.Core().compile_model(self._model, "CPU", config)
        try:
            given = self._compiled(dict(inputs))
        except RuntimeError as error:
            line = str(error).strip().splitlines()[-1]
            raise FileError(f"OpenVINO cannot run the model ({line})") from error
        return {name: np.array(given[self._compiled.output(name)]) for name in self._outputs}
