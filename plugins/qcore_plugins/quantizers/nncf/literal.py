"""An NNCF-quantized model taken literally: every FakeQuantize as the float arithmetic that it stands for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import openvino

from qcore.plugin import Contract
from qcore_kit.irfile.literal import CONFIG, unfused
from qcore_kit.quantization.graph import WEIGHTED, Graph
from qcore_kit.quantization.saturation import NARROW
from qcore_plugins.quantizers.nncf.graph import OPERATIONS


class LiteralSession:
    """OpenVINO in float32 on a model without FakeQuantize, so that it has nothing to make integers of."""

    executed_precision = "fake-quantized f32"

    def __init__(self, compiled: Any, outputs: list[str]) -> None:
        self._request = compiled.create_infer_request()
        self._outputs = {name: compiled.output(name) for name in outputs}

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference; all outputs."""
        given = self._request.infer(dict(inputs))
        return {name: np.array(given[port]) for name, port in self._outputs.items()}


def literal(model: Any, contract: Contract) -> LiteralSession:
    """A session that computes what a quantized model says, by other kernels."""
    compiled = openvino.Core().compile_model(unfused(model), "CPU", CONFIG)
    return LiteralSession(compiled, [tensor.name for tensor in contract.outputs])


def explained(model: Any, graph: Graph, excluded: Collection[str]) -> tuple[dict[str, Any], ...]:
    """One row for each weighted operation: whether NNCF quantized it, and why not."""
    quantized = {
        op.get_friendly_name()
        for op in model.get_ordered_ops()
        if any(value.get_node().get_type_name() == "FakeQuantize" for value in op.input_values())
    }
    rows = []
    for node in graph.weighted:
        done = node.name in quantized
        rule = "kept in float on request" if node.name in excluded else "NNCF's choice"
        rows.append({"layer": node.layer, "operation": node.op, "quantized": "yes" if done else "no", "rule": rule})
    return tuple(rows)


def narrowed(model: Any) -> frozenset[str]:
    """Names of the operations whose int8 weights lie within +-64."""
    narrow = set()
    for op in model.get_ordered_ops():
        if OPERATIONS.get(op.get_type_name(), op.get_type_name()) not in WEIGHTED:
            continue
        source = op.input_value(1).get_node()
        while source.get_type_name() in {"Multiply", "Subtract", "Convert", "Reshape"}:
            source = source.input_value(0).get_node()
        stored = source.get_type_name() == "Constant" and source.get_element_type() == openvino.Type.i8
        if stored and int(np.abs(source.get_data().astype(np.int16)).max()) <= NARROW:
            narrow.add(op.get_friendly_name())
    return frozenset(narrow)
