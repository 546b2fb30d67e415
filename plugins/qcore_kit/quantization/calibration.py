"""Ranges of activations, found by running inputs through ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import onnx
import onnxruntime
from onnx import helper

from qcore_kit.quantization.graph import Graph
from qcore_kit.quantization.histogram import Histogram
from qcore_kit.quantization.ranges import completed, watched
from qcore_kit.quantization.table import Range


def ranges(proto: onnx.ModelProto, graph: Graph, batches: Iterable[Mapping[str, Any]], method: str) -> dict[str, Range]:
    """The range of every tensor that some profile may quantize, in one pass over the inputs.

    Args:
        proto: The float graph.
        graph: The same, as placement sees it.
        batches: Inputs by name.
        method: See `Histogram.range`.
    """
    found = {name: Histogram() for name in watched(graph)}
    session = onnxruntime.InferenceSession(_watching(proto, graph, found).SerializeToString(), _settings())
    made = [name for name in found if name not in graph.inputs]
    for batch in batches:
        for name, values in (*zip(made, session.run(made, dict(batch)), strict=True), *batch.items()):
            if name in found:
                found[name].add(values)
    return completed(graph, {name: seen.range(method) for name, seen in found.items() if seen.lows})


def _watching(proto: onnx.ModelProto, graph: Graph, watched: Iterable[str]) -> onnx.ModelProto:
    """The graph with every watched tensor among its outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    known = {*graph.inputs, *graph.outputs}
    copy.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in watched if name not in known)
    return copy


def _settings() -> onnxruntime.SessionOptions:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    return settings
