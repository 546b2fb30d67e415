"""Operators that quantize without Q/DQ around float operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import onnx

from qcore_kit.onnxfile.bodies import bodies

DYNAMIC = "dynamically quantized, scales are computed at run time"
INTEGERS = "QOperator format"
WEIGHTS = "weights alone are quantized"
"""Kinds of quantization that need no Q/DQ."""
_KINDS = {
    "ConvInteger": DYNAMIC,
    "DynamicQuantizeLSTM": DYNAMIC,
    "DynamicQuantizeLinear": DYNAMIC,
    "DynamicQuantizeMatMul": DYNAMIC,
    "MatMulInteger": DYNAMIC,
    "MatMulIntegerToFloat": DYNAMIC,
    "QAttention": INTEGERS,
    "QEmbedLayerNormalization": INTEGERS,
    "QGemm": INTEGERS,
    "GatherBlockQuantized": WEIGHTS,
    "MatMulBnb4": WEIGHTS,
    "MatMulNBits": WEIGHTS,
}
"""By operator of ONNX or `com.microsoft`: what `onnxruntime.quantization` writes, and what ONNX Runtime makes of it."""


def kind(operator: str) -> str | None:
    """One of `DYNAMIC`, `INTEGERS` and `WEIGHTS`; None for operators that compute in float."""
    return INTEGERS if operator.startswith("QLinear") else _KINDS.get(operator)


def counts(proto: onnx.ModelProto) -> dict[str, Counter[str]]:
    """Kind -> operators of that kind with their number, in the graph, its bodies and the model's functions."""
    own = {(function.domain, function.name) for function in proto.functions}
    found: dict[str, Counter[str]] = {}
    for node in _nodes(proto):
        if (node.domain, node.op_type) not in own and (of := kind(node.op_type)):
            found.setdefault(of, Counter())[node.op_type] += 1
    return found


def _nodes(proto: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    yield from _within(proto.graph.node)
    for function in proto.functions:
        yield from _within(function.node)


def _within(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for body in bodies(node):
            yield from _within(body.node)
