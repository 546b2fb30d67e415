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
    """The range of every tensor that some profile may quantize; arguments as of `seen` and `Histogram.range`."""
    return ranges_of(graph, seen(proto, graph, batches), method)


def ranges_of(graph: Graph, found: Mapping[str, Histogram], method: str) -> dict[str, Range]:
    """The ranges that follow from what was seen."""
    return completed(graph, {name: each.range(method) for name, each in found.items() if each.lows})


def seen(proto: onnx.ModelProto, graph: Graph, batches: Iterable[Mapping[str, Any]]) -> dict[str, Histogram]:
    """The values of every tensor that some profile may quantize, in one pass over the inputs.

    Args:
        proto: The float graph.
        graph: The same, as placement sees it.
        batches: Inputs by name.
    """
    histograms = {name: Histogram() for name in watched(graph)}
    session = onnxruntime.InferenceSession(_watching(proto, graph, histograms).SerializeToString(), _settings())
    fetched = [name for name in histograms if name not in graph.inputs]
    for batch in batches:
        for name, values in (*zip(fetched, session.run(fetched, dict(batch)), strict=True), *batch.items()):
            if name in histograms:
                histograms[name].add(values)
    return histograms


def _watching(proto: onnx.ModelProto, graph: Graph, watched: Iterable[str]) -> onnx.ModelProto:
    """The graph with every watched tensor among its outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    known = {*graph.inputs, *graph.outputs}
    copy.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in watched if name not in known)
    return copy


def _settings() -> onnxruntime.SessionOptions:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    return settings
