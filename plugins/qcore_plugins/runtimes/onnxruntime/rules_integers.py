"""Rules on what ONNX Runtime's integer operators do not take, or take and compute otherwise."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from qcore_kit.checks import Hit, Subject
from qcore_kit.onnxfile.fusing import UNFUSED, absorbed, float_reason, quantized_result
from qcore_kit.onnxfile.pools import fits
from qcore_kit.onnxfile.scale import BYTES, Scale, attribute
from qcore_kit.onnxfile.view import QUANTIZE, View, whole
from qcore_plugins.runtimes.onnxruntime.rules import ForONNXRuntime

CHANNELLESS = {
    "Add", "AveragePool", "Conv", "GlobalAveragePool", "LeakyRelu", "MatMul", "Mul", "Sigmoid", "Softmax",
}  # fmt: skip
"""Operators whose integer form takes one scale for each tensor of activations."""
BYTES_ONLY = CHANNELLESS | {"Concat", "Gemm", "MaxPool", "Resize"}
"""Operators whose integer form takes no float8."""
NO_NIBBLES = {"Conv", "MaxPool"}
"""Those that are made even around 4-bit activations, and do not take them."""
OPEN = {"Gemm", "MatMul"}
"""Operators that become integer ones without a Q behind them."""


class Untaken(ForONNXRuntime):
    """Scales or types that the integer operator does not take, which ONNX Runtime puts in all the same.

    Float8, or 4-bit activations, around an operator that has an integer form; activations with a scale for each
    channel; int8 weights in blocks under a Conv or MatMul; scales for channels of a MatMul's weights with more than two
    dimensions. Weights of 4 bits, in blocks or not, are no fault: the operator stays float.

    Why: ONNX Runtime replaces the float operator between DQ and Q by the integer one, and then refuses its types when
    it loads the file, or its scales when it runs.

    Fix: one scale for each tensor of activations, one for each output channel of weights, int8 or uint8.
    """

    id = "ORT006"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each operator between DQ and Q that becomes an integer one."""
        view = subject.derived(whole)
        for name, node in view.nodes.items():
            if node.op_type not in BYTES_ONLY or not node.input:
                continue
            scales = _around(view, node)
            if scales and (fault := _untaken(view, node, *scales)):
                yield Hit(name, f"{node.op_type}: {fault}")


def _around(view: View, node: onnx.NodeProto) -> tuple[list[Scale], Scale | None] | None:
    """Scales of activations before and behind an operator, and of its weights; None where it stays float."""
    weight = view.weight(node) if node.op_type in ("Conv", "Gemm", "MatMul") else None
    if view.is_constant(view.origin(node.input[0])):
        return None
    places = node.input[:1] if weight is not None or node.op_type == "Resize" else node.input[:2]
    if node.op_type == "Concat":
        places = node.input
    scales = [view.read(place) for place in places if place]
    result, _ = quantized_result(view, node)
    if node.op_type not in OPEN or result is not None:
        scales.append(result)
    known = [scale for scale in scales if scale is not None]
    if len(known) < len(scales) or any(scale.kind in UNFUSED for scale in known):
        return None
    if node.op_type == "Conv" and (weight is None or float_reason(view, node, known[0], weight)):
        return None
    return known, weight


def _untaken(view: View, node: onnx.NodeProto, activations: list[Scale], weight: Scale | None) -> str:
    every = [*activations, *([weight] if weight is not None else [])]
    for scale in every:
        nibbles = scale is not weight and scale.kind not in BYTES and node.op_type in NO_NIBBLES
        if scale.kind.startswith("float") or nibbles:
            return f"{scale.node} is {scale.kind}"
    for scale in activations:
        if scale.values is not None and scale.values.size > 1 and node.op_type in CHANNELLESS:
            return f"{scale.node} is {scale}"
    if weight is None or weight.kind not in BYTES or weight.values is None or weight.values.size == 1:
        return ""
    shape = view.shape(node.input[1]) or ()
    deep = node.op_type == "MatMul" and len(shape) > 2
    blocked = weight.block and node.op_type != "Gemm"
    return f"its weights, of shape {list(shape)}, are {weight}" if deep or blocked else ""


class DroppedLimit(ForONNXRuntime):
    """A Relu or Clip in front of a Q of float8 or 4 bits.

    Why: ONNX Runtime takes the Relu out as if the Q began at 0, and negative values pass (measured: off by as much as
    the largest of them), unless the zero point is the smallest integer. With a Clip it refuses the file ("Unexpected
    data type for QuantizeLinear input y_zero_point").

    Fix: int8 or uint8 there, or no Q.
    """

    id = "ORT007"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each one whose result that Q alone reads."""
        view = subject.derived(whole)
        for name, node in view.nodes.items():
            readers = view.readers.get(node.output[0], []) if node.op_type in ("Relu", "Clip") else []
            if len(readers) != 1 or readers[0].op_type != QUANTIZE:
                continue
            scale = view.scale(readers[0])
            odd = scale.kind.startswith("float") or scale.kind.endswith("int4")
            if odd and not (node.op_type == "Relu" and absorbed(view, node, scale)):
                yield Hit(name, f"{node.op_type} before {scale}")


class RoundedUpPool(ForONNXRuntime):
    """A quantized AveragePool that counts its padding and rounds its size up (`ceil_mode`).

    Why: at the border QLinearAveragePool divides by the whole window, with what lies beyond the padding; AveragePool
    does not (measured: off by up to half the largest value there). OpenVINO agrees with the float operator.

    Fix: leave the pool float, pad so that windows fit, or export with `count_include_pad=0`.
    """

    id = "ORT008"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each one between DQ and Q with a window that goes beyond the padding."""
        view = subject.derived(whole)
        for name, node in view.nodes.items():
            counts = attribute(node, "ceil_mode", 0) and attribute(node, "count_include_pad", 0)
            if node.op_type != "AveragePool" or not counts or not _around(view, node) or fits(view, node):
                continue
            yield Hit(name, f"kernel {attribute(node, 'kernel_shape', [])}, ceil_mode, count_include_pad")


RULES = (Untaken, DroppedLimit, RoundedUpPool)
