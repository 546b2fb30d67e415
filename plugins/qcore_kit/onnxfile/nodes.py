"""What a single ONNX node says."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper


def label(node: onnx.NodeProto) -> str:
    """What to call a node."""
    return str(node.name or (node.output[0] if node.output else node.op_type))


def constant(node: onnx.NodeProto) -> np.ndarray:
    """The value of a Constant."""
    for entry in node.attribute:
        if entry.name == "value":
            return numpy_helper.to_array(entry.t)
        if entry.name.startswith("value_"):
            return np.array(helper.get_attribute_value(entry))
    return np.zeros(0)
