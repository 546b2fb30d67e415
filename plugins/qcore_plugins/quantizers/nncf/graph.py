"""An OpenVINO model as the neutral view of a graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from qcore_kit.quantization.graph import WEIGHTED, Graph, Node
from qcore_kit.quantization.operations import HAND_WRITTEN, NUMBERS_OF_A_BOX, written_by_hand

OPERATIONS = {
    "Convolution": "Conv",
    "GroupConvolution": "Conv",
    "ConvolutionBackpropData": "ConvTranspose",
    "GroupConvolutionBackpropData": "ConvTranspose",
    "VariadicSplit": "Split",
    "StridedSlice": "Slice",
}
"""OpenVINO's word -> this view's word, where they differ and it matters."""


def from_openvino(model: Any) -> Graph:
    """The view of an `openvino.Model`; nodes have their friendly names, tensors are called node:port."""
    nodes: list[Node] = []
    constants: set[str] = set()
    for op in model.get_ordered_ops():
        name, kind = op.get_friendly_name(), op.get_type_name()
        given = [f"{value.get_node().get_friendly_name()}:{value.get_index()}" for value in op.input_values()]
        outputs = tuple(f"{name}:{port}" for port in range(len(op.outputs())))
        if kind == "Constant" or (given and all(value in constants for value in given)):
            constants.update(outputs)
            continue
        if kind in {"Parameter", "Result"}:
            continue
        word = OPERATIONS.get(kind, kind)
        weight = given[1].removesuffix(":0") if word in WEIGHTED and given[1] in constants else None
        read = tuple(value for value in given if value not in constants)
        nodes.append(Node(name, word, read, outputs, weight, by_hand=weight is not None and _by_hand(op)))
    return Graph(tuple(nodes), inputs=(), outputs=())


def _by_hand(op: Any) -> bool:
    """As `Node.by_hand`."""
    source, shape = op.input_value(1).get_node(), list(op.input_value(1).get_shape())
    kind = op.get_type_name()
    if kind == "MatMul":
        reads = shape[-1] if op.get_attributes()["transpose_b"] or len(shape) == 1 else shape[-2]
    elif kind.startswith("Group"):
        reads = shape[0] * shape[1 if "Backprop" in kind else 2]
    else:
        reads = shape[0 if "Backprop" in kind else 1]
    stored = source.get_type_name() == "Constant" and int(np.prod(shape)) <= HAND_WRITTEN
    return reads <= NUMBERS_OF_A_BOX or (stored and written_by_hand(np.asarray(source.data, np.float32)))
