"""Operations that hand on what they read: Identity, Dropout outside training, Cast to the type that a tensor has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache

import onnx
from onnx import numpy_helper

from qcore_kit.quantization.operations import attributes_of, names_inside, names_read

Types = Mapping[str, onnx.TypeProto]


def passing(proto: onnx.ModelProto, types: Callable[[], Types]) -> Iterator[onnx.NodeProto]:
    """The operations that can be left out without renaming an output of the graph or what a subgraph reads.

    Args:
        proto: The graph, its nodes in order.
        types: Gives the types of its tensors; asked for only where there is a Cast.
    """
    types = cache(types)
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    kept = {value.name for value in proto.graph.output} | {
        name for node in proto.graph.node for name in names_inside(node)
    }
    reads = Counter(names_read(proto.graph.node))
    for node in proto.graph.node:
        if node.op_type == "Cast":
            hands_on = _type(types(), node.input[0]) == attributes_of(node)["to"]
        else:
            hands_on = node.op_type == "Identity" or (node.op_type == "Dropout" and _resting(node, stored, reads))
        if hands_on and node.output[0] not in kept and node.input[0] not in stored:
            yield node


def drop_passing(proto: onnx.ModelProto, types: Callable[[], Types]) -> bool:
    """Whether operations that hand on what they read were taken out; their readers read what they have read."""
    gone = list(passing(proto, types))
    if not gone:
        return False
    source: dict[str, str] = {}
    for node in gone:
        source[node.output[0]] = source.get(node.input[0], node.input[0])
        proto.graph.node.remove(node)
    for node in proto.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = source.get(name, name)
    return True


def _type(types: Types, name: str) -> int | None:
    return types[name].tensor_type.elem_type if name in types else None


def _resting(node: onnx.NodeProto, stored: Mapping[str, onnx.TensorProto], reads: Counter[str]) -> bool:
    """Whether a Dropout drops nothing, and nobody reads its mask."""
    mode = node.input[2] if len(node.input) > 2 else ""
    training = bool(mode) and (mode not in stored or bool(numpy_helper.to_array(stored[mode]).any()))
    old = "is_test" in attributes_of(node)
    return not training and not old and not any(reads[name] for name in node.output[1:])
