"""The layers of a Q/DQ graph that ONNX Runtime and OpenVINO compute in integers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import helper

from qcore_kit.onnxfile.fusing import float_reason
from qcore_kit.onnxfile.scale import Scale
from qcore_kit.onnxfile.view import QUANTIZE, View
from qcore_kit.quantization.integers import IntegerLayer
from qcore_kit.quantization.products import Products

SHIFT = {"uint8": 0, "int8": 128}


def integer_layers(view: View, runtime: str) -> list[IntegerLayer]:
    """Those whose input is uint8 or int8 and whose weights are int8, stored so or as float behind Q/DQ.

    Args:
        view: Of the file.
        runtime: `onnxruntime` or `openvino`; they do not compute the same layers in integers.
    """
    return list(_layers(view, runtime))


def _layers(view: View, runtime: str) -> Iterator[IntegerLayer]:
    for node, stored, moved, weight in view.weighted():
        given = view.read(stored.input[0]) if runtime == "onnxruntime" else moved
        if given is None or weight is None or not _per_tensor(given):
            continue
        if runtime == "onnxruntime" and not _in_integers(view, stored, given, weight):
            continue
        values = int8_weight(view, stored, weight)
        if values is None or weight.values is None or given.values is None or given.points is None:
            continue
        yield IntegerLayer(
            node.layer,
            Products.of(node.op, values, {entry.name: helper.get_attribute_value(entry) for entry in stored.attribute}),
            stored.input[0],
            stored.output[0],
            float(given.values.flat[0]),
            int(given.points.flat[0]) + SHIFT[given.kind],
            weight.values.reshape(-1).astype(np.float64),
            first=node.name in view.graph.first,
        )


def _per_tensor(scale: Scale) -> bool:
    known = scale.kind in SHIFT and scale.values is not None and scale.points is not None
    return known and scale.values is not None and scale.values.size == 1 and bool((scale.values > 0).all())


def _in_integers(view: View, node: onnx.NodeProto, given: Scale, weight: Scale) -> bool:
    """ONNX Runtime's integer convolution gives integers; those of its matrix products may give float."""
    if node.op_type == "Conv":
        return not float_reason(view, node, given, weight)
    return node.op_type in ("Gemm", "MatMul")


def int8_weight(view: View, node: onnx.NodeProto, weight: Scale) -> np.ndarray | None:
    """The int8 weights that a node reads, rounded where float ones are stored; None where they are not int8."""
    if weight.kind != "int8" or weight.values is None or weight.points is None or np.any(weight.points != 0):
        return None
    dequantize = view.nodes[weight.node]
    stored = view.value(dequantize.input[0])
    if stored is not None:
        return view.arranged(node, stored)
    source = view.makers.get(dequantize.input[0])
    values = view.value(source.input[0]) if source is not None and source.op_type == QUANTIZE else None
    if values is None or not bool((weight.values > 0).all()):
        return None
    size, axis = weight.values.astype(np.float32), view.scale(dequantize).axis
    if axis is not None:
        size = size.reshape([-1 if place == axis else 1 for place in range(values.ndim)])
    return view.arranged(node, np.clip(np.rint(values / size), -128, 127).astype(np.int8))
