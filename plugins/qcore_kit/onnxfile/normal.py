"""One normal form for graphs of any exporter: constants folded, weights as initializers, shapes inferred."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import onnx
import onnx.inliner
from onnx import helper, numpy_helper

from qcore_kit.onnxfile.affine import absorb, absorbed
from qcore_kit.onnxfile.passing import drop_passing, passing
from qcore_kit.quantization.operations import names_read

SMALL = 1024
"""Elements up to which shape inference is shown the values of a constant: shapes, axes and indices are far below."""
LARGE = 16 * 2**20
"""Bytes from which on a folded constant may not be larger than what it was made from."""
KEPT = {
    "Bernoulli", "DequantizeLinear", "Multinomial", "QuantizeLinear", "RandomNormal", "RandomNormalLike",
    "RandomUniform", "RandomUniformLike",
}  # fmt: skip
"""Operations that stay, even on constants: they draw, or are what a quantized file is about."""


def normalised(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with every constant stored and every shape that follows from the inputs known.

    What later steps look for (weights among the initializers, the sizes of tensors) then is at one place, whichever
    exporter wrote the file: weights behind Identity, Cast or Transpose, in Constant nodes or among the graph's inputs,
    and sizes that the graph computes with Shape, Gather and Concat. What follows a convolution as one factor and one
    term per channel is in its weights, and what only hands on a tensor is left out. The other tensors and nodes keep
    their names; constants are computed by ONNX Runtime, without its optimizations, as it would when it runs the graph.

    Args:
        proto: A float graph; it is not changed.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    if copy.functions:
        copy = onnx.inliner.inline_local_functions(copy)
    _separate(copy)
    _store_constants(copy)
    _name_apart(copy)
    skipped: set[str] = set()
    while True:
        known = inferred(copy)
        sizes = _store_sizes(copy, known)
        if not _fold(copy, skipped) and not sizes:
            break
    drop_passing(copy, lambda: known)
    while absorb(copy, _reads(copy)):
        pass
    _complete(copy, known)
    return copy


def in_order(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with every node behind those whose results it reads, which runtimes do not ask for.

    Converters to float16 append casts to the end. A graph in order, or with a circle, is handed back as it is.
    """
    nodes = list(proto.graph.node)
    makers = {name: place for place, node in enumerate(nodes) for name in node.output if name}
    needed = [{makers[name] for name in names_read([node]) if name in makers} for node in nodes]
    if all(place > max(before, default=-1) for place, before in enumerate(needed)):
        return proto
    order: list[int] = []
    done: set[int] = set()
    waiting = list(range(len(nodes)))[::-1]
    while waiting:
        place = waiting[-1]
        open_ = sorted(needed[place] - done, reverse=True)
        if place in done or not open_:
            waiting.pop()
            if place not in done:
                done.add(place)
                order.append(place)
        elif len(waiting) > 2 * len(nodes):
            return proto
        else:
            waiting += open_
    ordered = onnx.ModelProto()
    ordered.CopyFrom(proto)
    del ordered.graph.node[:]
    ordered.graph.node.extend(nodes[place] for place in order)
    return ordered


def is_normal(proto: onnx.ModelProto) -> bool:
    """Whether `normalised` would have nothing to do: nothing is left that a step before running could compute."""
    graph = proto.graph
    stored = {tensor.name for tensor in graph.initializer}
    return (
        not proto.functions
        and not any(value.name in stored for value in graph.input)
        and all(value.type.tensor_type.HasField("shape") for value in graph.output)
        and not any(node.op_type in {"Constant", "Shape", "Size"} for node in graph.node)
        and next(_constant_nodes(proto), None) is None
        and next(passing(proto, lambda: inferred(proto)), None) is None
        and next(absorbed(proto, _reads(proto)), None) is None
        and len({node.name or node.output[0] for node in graph.node if node.output}) == len(graph.node)
    )


def inferred(proto: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    """Type of every tensor that ONNX's inference finds, from a copy without the large constants."""
    light = onnx.ModelProto(ir_version=max(proto.ir_version, 4))
    light.opset_import.extend(proto.opset_import)
    light.graph.name = "light"
    light.graph.node.extend(proto.graph.node)
    light.graph.input.extend(proto.graph.input)
    named = {value.name for value in proto.graph.input}
    for tensor in proto.graph.initializer:
        if int(np.prod(tensor.dims)) <= SMALL:
            light.graph.initializer.append(tensor)
        elif tensor.name not in named:
            light.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    light.graph.output.extend(proto.graph.output)
    for value in light.graph.output:  # sizes that the file states may be those of another input
        value.type.tensor_type.ClearField("shape")
    try:
        graph = onnx.shape_inference.infer_shapes(light, data_prop=True).graph
    except onnx.shape_inference.InferenceError:
        return {value.name: value.type for value in proto.graph.input}
    return {value.name: value.type for value in (*graph.input, *graph.value_info, *graph.output)}


def fixed(kind: onnx.TypeProto | None) -> tuple[int, ...] | None:
    """The sizes of a tensor's type where all are numbers."""
    if kind is None or not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    return tuple(dim.dim_value for dim in dims) if all(dim.HasField("dim_value") for dim in dims) else None


def _separate(proto: onnx.ModelProto) -> None:
    """Initializers are no inputs, which files from before IR version 4 list them as."""
    stored = {tensor.name for tensor in proto.graph.initializer}
    given = [value for value in proto.graph.input if value.name not in stored]
    if len(given) < len(proto.graph.input):
        del proto.graph.input[:]
        proto.graph.input.extend(given)
        proto.ir_version = max(proto.ir_version, 4)


def _store_constants(proto: onnx.ModelProto) -> None:
    stored = []
    ends = {value.name for value in proto.graph.output}
    for node in proto.graph.node:
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx") and node.output[0] not in ends:
            tensor = _stored(node)
            if tensor is not None:
                stored.append((node, tensor))
    _replace(proto, stored)


def _stored(node: onnx.NodeProto) -> onnx.TensorProto | None:
    """What a Constant node holds; None for sparse tensors and texts."""
    (entry,) = (entry for entry in node.attribute if entry.name.startswith(("value", "sparse")))
    if entry.name == "value":
        tensor = onnx.TensorProto()
        tensor.CopyFrom(entry.t)
        tensor.name = node.output[0]
        return tensor
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    if entry.name not in kinds:
        return None
    return numpy_helper.from_array(np.array(helper.get_attribute_value(entry), kinds[entry.name]), node.output[0])


def _name_apart(proto: onnx.ModelProto) -> None:
    """Nodes of one name get different ones: the first keeps it."""
    seen: set[str] = set()
    for node in proto.graph.node:
        name, count = node.name, 1
        while node.name and node.name in seen:
            count += 1
            node.name = f"{name}_{count}"
        seen.add(node.name)


def _store_sizes(proto: onnx.ModelProto, known: dict[str, onnx.TypeProto]) -> bool:
    """Whether a Shape or Size became a constant."""
    stored = []
    ends = {value.name for value in proto.graph.output}
    for node in proto.graph.node:
        if node.op_type not in ("Shape", "Size") or node.output[0] in ends:
            continue
        shape = fixed(known.get(node.input[0]))
        if shape is None:
            continue
        attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        sizes = shape[attributes.get("start", 0) : attributes.get("end", len(shape))]
        value = np.array(sizes if node.op_type == "Shape" else np.prod(shape), np.int64)
        stored.append((node, numpy_helper.from_array(value, node.output[0])))
    _replace(proto, stored)
    return bool(stored)


def _fold(proto: onnx.ModelProto, skipped: set[str]) -> bool:
    """Whether some operation on constants became one; `skipped` gets the outputs that stay computed."""
    ends = {value.name for value in proto.graph.output}
    nodes = [node for node in _constant_nodes(proto, skipped) if not ends & set(node.output)]
    if not nodes:
        return False
    folded = {id(node) for node in nodes}
    computed = {name for node in nodes for name in node.output if name}
    read = set(names_read(node for node in proto.graph.node if id(node) not in folded))
    values = _computed(proto, nodes, sorted(computed & read))
    sources = {tensor.name: len(tensor.raw_data) for tensor in proto.graph.initializer}
    large = {name for name, value in values.items() if value.nbytes > max(LARGE, 2 * sum(sources.values()))}
    if large or len(values) < len(computed & read):
        skipped |= computed & (large or computed)
        return True
    _replace(proto, [(node, None) for node in nodes])
    proto.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values.items())
    return True


def _constant_nodes(proto: onnx.ModelProto, skipped: Iterable[str] = ()) -> Iterator[onnx.NodeProto]:
    """Operations on constants only, in order."""
    known = {tensor.name for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        inner = any(entry.HasField("g") or entry.graphs for entry in node.attribute)
        given = [name for name in node.input if name]
        standard = node.domain in ("", "ai.onnx") and node.op_type not in KEPT and not inner
        if standard and given and all(name in known for name in given) and not set(node.output) & set(skipped):
            known.update(node.output)
            yield node


def _computed(proto: onnx.ModelProto, nodes: list[onnx.NodeProto], names: list[str]) -> dict[str, np.ndarray]:
    """Values of these tensors, made by nodes that read constants only; nothing where ONNX Runtime cannot."""
    import onnxruntime

    if not names:
        return {}
    model = onnx.ModelProto(ir_version=proto.ir_version)
    model.opset_import.extend(proto.opset_import)
    model.graph.name = "constants"
    model.graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input}
    model.graph.initializer.extend(tensor for tensor in proto.graph.initializer if tensor.name in read)
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
        values = session.run(names, {})
    except Exception:  # noqa: BLE001 - the runtime's own errors have no common class; the graph then stays as it is
        return {}
    return {name: value for name, value in zip(names, values, strict=True) if isinstance(value, np.ndarray)}


def _replace(proto: onnx.ModelProto, stored: Sequence[tuple[onnx.NodeProto, onnx.TensorProto | None]]) -> None:
    """Take nodes out, put constants in their place, and drop constants that nothing reads any more."""
    if not stored:
        return
    gone = {id(node) for node, _ in stored}
    before = {name for node, _ in stored for name in node.input}
    kept = [node for node in proto.graph.node if id(node) not in gone]
    unread = before - set(names_read(kept)) - {value.name for value in proto.graph.output}
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del proto.graph.node[:]
    proto.graph.node.extend(copies)
    left = [tensor for tensor in proto.graph.initializer if tensor.name not in unread]
    if len(left) < len(proto.graph.initializer):
        tensors = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in left]
        del proto.graph.initializer[:]
        proto.graph.initializer.extend(tensors)
    proto.graph.initializer.extend(tensor for _, tensor in stored if tensor is not None)


def _reads(proto: onnx.ModelProto) -> Counter[str]:
    """How often each tensor is read, inside subgraphs and as an output of the graph too."""
    return Counter([*names_read(proto.graph.node), *(value.name for value in proto.graph.output)])


def _complete(proto: onnx.ModelProto, known: dict[str, onnx.TypeProto]) -> None:
    """Outputs get the sizes that inference has found."""
    for value in proto.graph.output:
        kind = known.get(value.name)
        if kind is not None and kind.tensor_type.HasField("shape"):
            value.type.CopyFrom(kind)
