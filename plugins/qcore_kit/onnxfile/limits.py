"""Whether what a graph computes stays on one side of 0 without a Q that cuts it off there."""

from __future__ import annotations

import numpy as np
import onnx

from qcore_kit.onnxfile.fusing import clip_limits
from qcore_kit.onnxfile.view import View
from qcore_kit.quantization.graph import AVERAGING, MOVING

ABOVE_ZERO = {
    "Abs", "Exp", "HardSigmoid", "ReduceL1", "ReduceL2", "ReduceSumSquare", "Relu", "Sigmoid", "Softmax", "Softplus",
    "Sqrt",
}  # fmt: skip
"""Operations whose results are never negative."""
ALL_INPUTS = {"Add", "Concat", "Div", "Max", "Min", "Mul", "Sum"}
KEEPING = MOVING | AVERAGING | ALL_INPUTS | {
    "Ceil", "Dropout", "Elu", "Erf", "Floor", "HardSwish", "Identity", "LeakyRelu", "ReduceMean", "ReduceSum", "Round",
}  # fmt: skip
"""Operations that give nothing negative if no input is negative: of `ALL_INPUTS`, or else of the first."""


def limited(view: View, tensor: str, *, low: bool) -> bool:
    """Whether a tensor holds nothing below 0 (nothing above it if not `low`); what comes from outside is trusted."""
    return _limited(view, tensor, low, set())


def _limited(view: View, tensor: str, low: bool, seen: set[str]) -> bool:
    value = view.value(tensor)
    if value is not None:
        return bool((value >= 0).all() if low else (value <= 0).all())
    node = view.makers.get(tensor)
    if node is None or tensor in seen:
        return True
    seen.add(tensor)
    if low and (node.op_type in ABOVE_ZERO or _square(view, node)):
        return True
    if node.op_type == "Clip":
        end = clip_limits(view, node)[0 if low else 1]
        if end is not None and (end >= 0 if low else end <= 0):
            return True
    elif node.op_type not in KEEPING | {"Pow"} or (not low and node.op_type in ("Div", "Mul", "Pow")):
        return False
    kept = node.input if node.op_type in ALL_INPUTS else node.input[:1]
    return all(_limited(view, view.behind(name), low, seen) for name in kept if name)


def _square(view: View, node: onnx.NodeProto) -> bool:
    """Whether a node gives an even power of what it reads, as a product or as a Pow."""
    if node.op_type == "Mul":
        return view.behind(node.input[0]) == view.behind(node.input[1])
    exponent = view.value(view.behind(node.input[1])) if node.op_type == "Pow" else None
    return exponent is not None and bool(np.all(exponent % 2 == 0))
