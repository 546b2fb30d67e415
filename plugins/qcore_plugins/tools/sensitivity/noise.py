"""The analyzer `noise`: a pass for the ranges, and one with the float and the fake-quantized network side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from qcore.plugin import CalibrationData, Model, Progress
from qcore_kit.quantization.calibration import ranges
from qcore_kit.quantization.graph import Graph, Node, from_onnx
from qcore_kit.quantization.operations import COUNTING_PADS, WITHOUT_BIAS
from qcore_kit.quantization.placement import candidates
from qcore_kit.quantization.profiles import Profile
from qcore_kit.quantization.table import ScaleTable, weight_scales
from qcore_kit.quantization.writer import write

PREFIX = "quantized/"
MEASURED = Profile(
    name="sensitivity",
    activation="u8",
    symmetric=False,
    every_output=False,
    whole_silu=True,
    share_concat=True,
    share_add=False,
    last_layer=False,
    integer_bias=False,
    float_variants=frozenset({COUNTING_PADS, WITHOUT_BIAS}),
)
"""The placement that noise is measured with: that of OpenVINO, whichever runtimes are there."""


class Noise:
    """Ranks by 10 log10(sum y^2 / sum (y - q)^2) of each weighted operation's output.

    `own` is the ratio where only this operation's input and weight are quantized; `reached` where all before it are
    quantized as well. The one with the lowest `own` comes first.
    """

    def analyze(
        self, model: Model, *, calibration: CalibrationData, options: Mapping[str, Any], progress: Progress
    ) -> list[dict[str, Any]]:
        """One row a layer: layer, operation, own and reached signal-to-noise ratio in dB, share of all noise.

        The noisiest comes first.

        Raises:
            CheckFailed: A tensor's range cannot be used.
        """
        graph = from_onnx(model.module)
        batches = progress.track(calibration, "ranges", len(calibration))
        ranges_ = ranges(model.module, graph, batches, "percentile")
        table = ScaleTable.make(model.module, ranges_, weight_scales(graph, model.module), needed=candidates(graph))
        session = onnxruntime.InferenceSession(_beside(table, graph).SerializeToString(), _settings())
        sums = np.zeros((3, len(graph.weighted)))
        count = min(options["inputs"], len(calibration))
        for batch in progress.track(islice(calibration, count), "noise", count):
            sums += np.array(session.run(None, dict(batch)), np.float64).reshape(3, -1)
        rows = [
            {
                "layer": node.layer,
                "operation": node.op,
                "own_db": _ratio(signal, own),
                "reached_db": _ratio(signal, all_),
            }
            for node, signal, own, all_ in zip(graph.weighted, *sums, strict=True)
        ]
        noise = [10 ** (-row["own_db"] / 10) for row in rows]
        rows = [{**row, "share": own / sum(noise)} for row, own in zip(rows, noise, strict=True)]
        return sorted(rows, key=lambda row: row["own_db"])


def _ratio(signal: float, noise: float) -> float:
    return 10 * math.log10(signal / noise) if noise > 0 and signal > 0 else 200.0


def _beside(table: ScaleTable, graph: Graph) -> onnx.ModelProto:
    """A graph that gives, for each weighted operation, the energy of its output and of both kinds of noise."""
    both = onnx.ModelProto()
    both.CopyFrom(table.graph)
    whole = write(table, MEASURED)
    given = set(graph.inputs)

    def renamed(name: str) -> str:
        return name if not name or name in given else PREFIX + name

    for tensor in whole.graph.initializer:
        added = both.graph.initializer.add()
        added.CopyFrom(tensor)
        added.name = PREFIX + tensor.name
    readers = {}
    for node in whole.graph.node:
        added = both.graph.node.add()
        added.CopyFrom(node)
        added.name = PREFIX + node.name
        added.input[:] = [renamed(name) for name in node.input]
        added.output[:] = [PREFIX + name for name in node.output]
        readers[node.output[0]] = added
    outputs: dict[str, list[str]] = {"signal": [], "own": [], "reached": []}
    for node in graph.weighted:
        output = node.outputs[0]
        both.graph.node.extend(_alone(table, node, readers[output], both.graph))
        outputs["signal"].append(_energy(both.graph, [output], f"{output}/signal"))
        outputs["own"].append(_energy(both.graph, [output, f"{output}/alone"], f"{output}/own"))
        outputs["reached"].append(_energy(both.graph, [output, PREFIX + output], f"{output}/reached"))
    del both.graph.output[:]
    for kind, names in outputs.items():
        both.graph.node.append(helper.make_node("Concat", names, [kind], f"gather {kind}", axis=0))
        both.graph.output.append(helper.make_tensor_value_info(kind, onnx.TensorProto.FLOAT, [len(names)]))
    return both


def _alone(
    table: ScaleTable, node: Node, quantized: onnx.NodeProto, graph: onnx.GraphProto
) -> Iterator[onnx.NodeProto]:
    """The operation on the float network's own input, with that and the weight quantized."""
    output, source = node.outputs[0], node.inputs[0]
    scale, point = table.ranges[source].quantization(MEASURED.activation, MEASURED.symmetric)
    parameters = [f"{output}/scale", f"{output}/point"]
    graph.initializer.append(numpy_helper.from_array(np.array(scale, np.float32), parameters[0]))
    graph.initializer.append(numpy_helper.from_array(np.array(point, np.uint8), parameters[1]))
    yield helper.make_node("QuantizeLinear", [source, *parameters], [f"{output}/q"], f"{output}/q")
    yield helper.make_node("DequantizeLinear", [f"{output}/q", *parameters], [f"{output}/dq"], f"{output}/dq")
    alone = onnx.NodeProto()
    alone.CopyFrom(quantized)
    alone.name = f"{output}/alone"
    alone.input[0] = f"{output}/dq"
    alone.output[:] = [f"{output}/alone"]
    yield alone


def _energy(graph: onnx.GraphProto, names: list[str], result: str) -> str:
    """The sum of squares of a tensor, or of the difference of two, as a tensor of one element."""
    source = names[0]
    if len(names) == 2:
        source = f"{result}/difference"
        graph.node.append(helper.make_node("Sub", names, [source], source))
    graph.node.append(helper.make_node("Flatten", [source], [f"{result}/flat"], f"{result}/flat", axis=0))
    graph.node.append(helper.make_node("ReduceSumSquare", [f"{result}/flat"], [f"{result}/sum"], result, keepdims=0))
    if not any(tensor.name == "one" for tensor in graph.initializer):
        graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
    graph.node.append(helper.make_node("Reshape", [f"{result}/sum", "one"], [result], f"{result}/shaped"))
    return result


def _settings() -> onnxruntime.SessionOptions:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return settings
