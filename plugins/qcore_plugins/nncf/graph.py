"""An OpenVINO model as the neutral view of a graph."""

from __future__ import annotations

from typing import Any

from qcore_plugins.quantization.graph import WEIGHTED, Graph, Node

OPERATIONS = {
    "Convolution": "Conv",
    "GroupConvolution": "Conv",
    "ConvolutionBackpropData": "ConvTranspose",
    "GroupConvolutionBackpropData": "ConvTranspose",
}
"""OpenVINO's word -> this view's word, where they differ and it matters."""


def from_openvino(model: Any) -> Graph:
    """The view of an `openvino.Model`; nodes have their friendly names, tensors are called node:port."""
    nodes: list[Node] = []
    constants: set[str] = set()
    for op in model.get_ordered_ops():
        name, kind = op.get_friendly_name(), op.get_type_name()
        given = [f"{value.get_node().get_friendly_name()}:{value.get_index()}" for value in op.input_values()]
        made = tuple(f"{name}:{port}" for port in range(len(op.outputs())))
        if kind == "Constant" or (given and all(value in constants for value in given)):
            constants.update(made)
            continue
        if kind in {"Parameter", "Result"}:
            continue
        word = OPERATIONS.get(kind, kind)
        weight = given[1].removesuffix(":0") if word in WEIGHTED and given[1] in constants else None
        nodes.append(Node(name, word, tuple(value for value in given if value not in constants), made, weight))
    return Graph(tuple(nodes), inputs=(), outputs=())
