"""What ONNX Runtime makes integer operators of, as seen in the graphs that it optimizes (onnxruntime 1.31).

Its optimizer replaces a float operator between DequantizeLinear and QuantizeLinear by one on integers. Whether it does
depends on types, scales and neighbours; where it does although the integer operator cannot take what it is given, the
file is refused or computed wrongly.
"""

from __future__ import annotations

import math

import numpy as np
import onnx

from qcore_kit.onnxfile.scale import BYTES, Scale, attribute
from qcore_kit.onnxfile.view import DEQUANTIZE, QUANTIZE, View

SKIPPED = ("Identity", "Dropout")
"""Operators that are gone before integers are made."""
ABSORBED = ("Relu", "Clip")
"""Operators that become part of the Q behind them, where the Q limits values as they do."""
UNQUANTIZED = "no Q behind it"
"""Why a convolution runs in float where its result was left float on purpose."""
UNFUSED = ("int16", "uint16")
"""Types with which an operator stays float."""
NEAR = 0.0105
"""How far the scale of a bias may be off (relative); a Conv with a larger difference stays float."""


def quantized_result(view: View, node: onnx.NodeProto) -> tuple[Scale | None, str]:
    """The one Q that rounds what a node makes; None, and why not, where there is none or another operator between."""
    name = node.output[0]
    readers = view.readers.get(name, [])
    if any(value.name == name for value in view.proto.graph.output) or len(readers) > 1:
        quantized = any(reader.op_type == QUANTIZE for reader in readers)
        return None, "something else than one QuantizeLinear reads its result" if quantized else UNQUANTIZED
    if not readers:
        return None, UNQUANTIZED
    (reader,) = readers
    if reader.op_type == QUANTIZE:
        return view.scale(reader), ""
    if reader.op_type in (*SKIPPED, *ABSORBED) or view.is_float_cast(reader):
        found, why = quantized_result(view, reader)
        if (
            found is not None
            and reader.op_type in ABSORBED
            and found.kind in BYTES
            and not absorbed(view, reader, found)
        ):
            return None, f"the Q behind its {reader.op_type} does not limit values as that does ({found})"
        return found, why
    return None, UNQUANTIZED


def absorbed(view: View, node: onnx.NodeProto, scale: Scale) -> bool:
    """Whether a Q limits values just as the Relu or Clip before it: to the ends of its range, rounded."""
    if scale.values is None or scale.point is None or scale.limits is None or scale.values.size > 1:
        return False
    first, last = scale.limits
    if node.op_type == "Relu":
        return scale.point == first
    low, high = clip_limits(view, node)
    if low is None or high is None or not usable(scale.values):
        return False
    size = float(scale.values.flat[0])
    begins = low == -math.inf or np.rint(low / size) + scale.point <= first
    ends = high == math.inf or np.rint(high / size) + scale.point >= last
    return bool(begins and ends)


def usable(values: np.ndarray) -> bool:
    """Whether scales are finite numbers above 0."""
    return bool(np.isfinite(values).all() and (values > 0).all())


def clip_limits(view: View, node: onnx.NodeProto) -> tuple[float | None, float | None]:
    """Smallest and largest value that a Clip lets through; None where the graph computes it."""
    limits: list[float | None] = []
    for place, (name, free) in enumerate((("min", -math.inf), ("max", math.inf)), start=1):
        stored = attribute(node, name, None)
        if stored is None and len(node.input) > place and node.input[place]:
            value = view.value(node.input[place])
            limits.append(None if value is None else float(value.flat[0]))
        else:
            limits.append(free if stored is None else float(stored))
    return limits[0], limits[1]


def float_reason(view: View, node: onnx.NodeProto, given: Scale, weight: Scale) -> str:
    """Why a Conv with quantized input and weights runs in float; empty where it becomes QLinearConv, or is refused."""
    result, why = quantized_result(view, node)
    between = reshaped(view, node)
    faults = {
        f"its input is {given.kind}": given.kind in UNFUSED,
        "its scales are not float32": given.values is not None and given.values.dtype != np.float32,
        f"its weights are {weight.kind}": weight.kind not in BYTES and not weight.kind.startswith("float"),
        f"its weights are behind {between}": bool(between),
        why: result is None,
        f"its result is {result.kind if result else ''}": result is not None and result.kind in UNFUSED,
    }
    fault_found = next((fault for fault, there in faults.items() if there), "")
    return fault_found or bias_fault(view, node.input[2] if len(node.input) > 2 else "", given, weight)


def reshaped(view: View, node: onnx.NodeProto) -> str:
    """The operator that keeps a DQ on weights away from a node; a Transpose is moved out of the way."""
    maker = view.makers.get(node.input[1])
    while maker is not None and maker.op_type in ("Transpose", "Identity"):
        maker = view.makers.get(maker.input[0])
    return "" if maker is None or maker.op_type == DEQUANTIZE else str(maker.op_type)


def bias_fault(view: View, bias: str, given: Scale, weight: Scale) -> str:
    """What is wrong with the DQ of a bias: integer operators add the integers as if in steps of input x weight."""
    maker = view.makers.get(bias)
    if maker is None or maker.op_type != DEQUANTIZE:
        return ""
    scale = view.scale(maker)
    if scale.kind != "int32" or (scale.points is not None and scale.points.any()):
        return f"its bias is {scale}, not int32 around 0"
    if given.values is None or weight.values is None or scale.values is None:
        return ""
    right = given.values.astype(float).reshape(-1)[:1] * weight.values.astype(float).reshape(-1)
    steps = scale.values.astype(float).reshape(-1)
    fit = (1 in (right.size, steps.size) or right.size == steps.size) and usable(right) and usable(steps)
    off = np.abs(steps / right - 1) if fit else np.zeros(1)
    if not (off > NEAR).any():
        return ""
    worst = int(off.argmax())
    one, other = steps[min(worst, steps.size - 1)], right[min(worst, right.size - 1)]
    return f"its bias is in steps of {one:.4g}, input x weight in {other:.4g}"


def added_bias(view: View, node: onnx.NodeProto) -> str:
    """The stored vector that the one Add behind a MatMul adds: both become a Gemm; empty where there is none."""
    readers = view.readers.get(node.output[0], [])
    if node.op_type != "MatMul" or len(readers) != 1 or readers[0].op_type != "Add":
        return ""
    (other,) = [name for name in readers[0].input if name != node.output[0]] or [""]
    stored = view.shape(view.origin(other)) if view.is_constant(view.origin(other)) else None
    return other if stored else ""


def is_gemm(view: View, node: onnx.NodeProto) -> bool:
    """Whether a node is a Gemm, or becomes one."""
    return node.op_type == "Gemm" or bool(added_bias(view, node))
