"""What OpenVINO made of the layers of a model."""

from __future__ import annotations

import openvino

from qcore_kit.abilities import Executed

WEIGHTED = {"Convolution", "Deconvolution", "FullyConnected", "MatMul"}
"""Types of operations in a compiled model that have weights, if their second input is stored."""
INTEGERS = {openvino.Type.i8, openvino.Type.u8}


def executed(compiled: openvino.CompiledModel) -> Executed:
    """How many layers with weights compute in integers: what they read, and their weights, are of 8 bits."""
    integer, floats = 0, []
    for op in compiled.get_runtime_model().get_ordered_ops():
        values = op.input_values()
        if _kind(op) not in WEIGHTED or len(values) < 2 or _kind(values[1].get_node()) != "Const":
            continue
        if all(value.get_element_type() in INTEGERS for value in values[:2]):
            integer += 1
        else:
            floats.append(op.get_friendly_name())
    return Executed(integer + len(floats), integer, tuple(floats))


def _kind(op: openvino.Node) -> str:
    return str(op.get_rt_info()["layerType"].astype(str))
