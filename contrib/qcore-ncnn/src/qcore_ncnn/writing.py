"""From an ONNX graph to ncnn's layers, operator by operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from qcore.plugin import FileError
from qcore_kit.onnxfile.scale import Scale
from qcore_kit.onnxfile.view import DEQUANTIZE, QUANTIZE, View
from qcore_kit.quantization.operations import attributes_of
from qcore_ncnn.layers import LONGEST, ORDERS, SIZES, Layer, Parameter, Shape, shapes

VALID = ("NOTSET", "VALID")
BINARY = {"Add": 0, "Sub": 1, "Mul": 2, "Div": 3, "Max": 4, "Min": 5, "Pow": 6}
TURNED = {"Sub": 7, "Div": 8, "Pow": 9}
"""The same with both sides exchanged; the others do not care."""
UNARY = {"Abs": 0, "Neg": 1, "Floor": 2, "Ceil": 3, "Sqrt": 5, "Exp": 7, "Log": 8, "Reciprocal": 15}
SQUARE = 4
REDUCTIONS = {"ReduceSum": 0, "ReduceMean": 3, "ReduceMax": 4, "ReduceMin": 5, "ReduceProd": 6}
MOST = 4
"""Dimensions of a blob."""


class Unwritable(Exception):
    """What ncnn, or this converter, has nothing for; the text says what."""


def written(view: View) -> tuple[list[Layer], dict[str, str]]:
    """The layers of a graph, and the blob of each of its inputs and outputs.

    Q/DQ stay where a convolution or a fully connected layer reads int8 values with int8 weights; ncnn has integers
    nowhere else, and computes in float on what was not rounded.

    Raises:
        FileError: The graph has an operator that cannot be written.
    """
    writer = Writer(view)
    for node in view.proto.graph.node:
        if not writer.is_needed(node):
            continue
        try:
            writer.write(node)
        except Unwritable as error:
            raise FileError(
                f"ncnn cannot run {view.name(node)}: {error}",
                hint="qcore check MODEL.onnx --target ncnn finds them all",
            ) from error
    return writer.finished()


def faults(view: View) -> Iterator[tuple[str, str]]:
    """Name of each node that cannot be written, and why."""
    writer = Writer(view)
    for node in view.proto.graph.node:
        if writer.is_needed(node):
            try:
                writer.write(node)
            except Unwritable as error:
                yield view.name(node), str(error)


class Writer:
    """Collects layers; a blob has the name of its tensor."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._layers: list[Layer] = []
        self._inside = _inside_silus(view)
        stored = {tensor.name for tensor in view.proto.graph.initializer}
        self._inputs = [value.name for value in view.proto.graph.input if value.name not in stored]
        self._outputs = [value.name for value in view.proto.graph.output]
        for name in self._inputs:
            self.add("Input", name, (), (name,), _sizes(self.shape(name)))

    def is_needed(self, node: onnx.NodeProto) -> bool:
        """Whether a node becomes a layer: not Q/DQ, what follows from constants, or half of a SiLU."""
        if node.op_type in (QUANTIZE, DEQUANTIZE, "Constant", "Identity") or self.view.is_float_cast(node):
            return False
        return node.output[0] not in self._inside and not self.view.follows_from_constants(node.output[0])

    def write(self, node: onnx.NodeProto) -> None:
        """Add the layers of a node.

        Raises:
            Unwritable: There are none for it.
        """
        rule = RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if rule is None:
            raise Unwritable(f"no layer for the operator {node.op_type}")
        rule(self, node, attributes_of(node))

    def add(
        self,
        kind: str,
        name: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        parameters: dict[int, Parameter] | None = None,
        weights: Sequence[np.ndarray] = (),
    ) -> None:
        """One layer."""
        self._layers.append(Layer(kind, name, tuple(inputs), tuple(outputs), parameters or {}, tuple(weights)))

    def source(self, name: str) -> str:
        """The tensor that a node reads, without Q/DQ, casts and Identity."""
        view = self.view
        name = view.behind(name)
        while (maker := view.makers.get(name)) is not None and maker.op_type == "Identity":
            name = view.behind(maker.input[0])
        return name

    def value(self, name: str) -> np.ndarray | None:
        """A stored tensor in float; None for one that is computed."""
        found = self.view.value(self.source(name)) if name else None
        return None if found is None else np.asarray(found)

    def shape(self, name: str) -> Shape:
        """The shape of a tensor without its batch of one.

        Raises:
            Unwritable: It is not known, has another batch, or too many dimensions.
        """
        shape = self.view.shape(self.source(name))
        if shape is None:
            raise Unwritable(f"the shape of {name} is not known before it runs")
        if not shape or shape[0] != 1:
            raise Unwritable(f"{name} of shape {list(shape)} has no batch of 1 in front")
        if not 1 < len(shape) <= MOST + 1:
            raise Unwritable(f"{name} of shape {list(shape)} has {len(shape) - 1} dimensions behind the batch")
        return shape[1:]

    def axis(self, axis: int, shape: Shape) -> int:
        """An axis as ncnn counts it.

        Raises:
            Unwritable: It is the batch.
        """
        found = axis - 1 if axis >= 0 else axis + len(shape)
        if found < 0:
            raise Unwritable("it operates on the batch dimension")
        return found

    def finished(self) -> tuple[list[Layer], dict[str, str]]:
        """The layers, each blob read by one of them only, under names that ncnn can read."""
        ends = {name: self.source(name) for name in self._outputs}
        layers = _split(self._layers, list(ends.values()))
        blobs = _named(layers, [*self._inputs, *ends.values()])
        layers = [
            Layer(
                layer.kind,
                name,
                tuple(blobs[each] for each in layer.inputs),
                tuple(blobs[each] for each in layer.outputs),
                layer.parameters,
                layer.weights,
            )
            for layer, name in zip(layers, _unique([layer.name for layer in layers]), strict=True)
        ]
        self._require_shapes(layers, blobs)
        return layers, {
            name: blobs[source] for name, source in {**{each: each for each in self._inputs}, **ends}.items()
        }

    def _require_shapes(self, layers: Sequence[Layer], blobs: Mapping[str, str]) -> None:
        """Refuse layers that make something else than the graph does.

        Raises:
            FileError: Names the first such tensor.
        """
        try:
            made = shapes(layers)
        except ValueError as error:
            raise FileError(f"ncnn cannot run the graph: {error}") from error
        for name, blob in blobs.items():
            wanted = self.view.shape(name)
            if wanted is not None and wanted[1:] != made[blob]:
                raise FileError(f"ncnn would make {name} of shape {list(made[blob])}, the graph {list(wanted[1:])}")


def _inside_silus(view: View) -> set[str]:
    """Outputs of Sigmoids that only their SiLU reads."""
    graph = view.graph
    ends = set(graph.outputs)
    return {
        gate.outputs[0]
        for product, gate in graph.silus.items()
        if len(graph.consumers[gate.outputs[0]]) == 1 and gate.outputs[0] not in ends
    }


def _sizes(shape: Shape) -> dict[int, Parameter]:
    """A shape as the parameters of an Input, a Reshape or a MemoryData."""
    return dict(sorted(zip(SIZES[len(shape)], shape, strict=True)))


def _split(layers: Sequence[Layer], ends: Sequence[str]) -> list[Layer]:
    """With a Split behind every blob that several layers read, or that is an output of the graph and read too."""
    reads = Counter(name for layer in layers for name in layer.inputs)
    copies = {
        name: [f"{name}_read{place}" for place in range(count)]
        for name, count in reads.items()
        if count > 1 or name in ends
    }
    left = {name: iter(made) for name, made in copies.items()}
    result: list[Layer] = []
    for layer in layers:
        inputs = tuple(next(left[name]) if name in left else name for name in layer.inputs)
        result.append(Layer(layer.kind, layer.name, inputs, layer.outputs, layer.parameters, layer.weights))
        for name in layer.outputs:
            if name in copies:
                kept = [f"{name}_out"] * (name in ends)
                result.append(Layer("Split", f"{name}_split", (name,), (*copies[name], *kept)))
    return result


def _named(layers: Sequence[Layer], first: Sequence[str]) -> dict[str, str]:
    """Tensor -> blob; the inputs and outputs of the graph choose first."""
    names = list(dict.fromkeys([*first, *(name for layer in layers for name in layer.outputs)]))
    return dict(zip(names, _unique(names), strict=True))


def _unique(names: Sequence[str]) -> list[str]:
    """Names without white space, short enough, and all different."""
    taken: set[str] = set()
    result = []
    for name in names:
        plain = "_".join(name.split()).encode()[: LONGEST - 8].decode(errors="ignore") or "blob"
        found, count = plain, 1
        while found in taken:
            count += 1
            found = f"{plain}_{count}"
        taken.add(found)
        result.append(found)
    return result


def _window(node: onnx.NodeProto, said: dict[str, Any], kernel: Sequence[int]) -> dict[str, list[int]]:
    """Kernel, strides, dilations and pads along height and width.

    Raises:
        Unwritable: There are more or fewer than two such axes, or the padding follows from the input.
    """
    if len(kernel) != 2:
        raise Unwritable(f"{node.op_type} along {len(kernel)} axes")
    automatic = said.get("auto_pad", b"NOTSET").decode()
    if automatic not in VALID:
        raise Unwritable(f"auto_pad {automatic}")
    return {
        "kernel": [int(size) for size in kernel],
        "strides": list(said.get("strides", [1, 1])),
        "dilations": list(said.get("dilations", [1, 1])),
        "pads": list(said.get("pads", [0, 0, 0, 0])) if automatic == "NOTSET" else [0, 0, 0, 0],
    }


def _scales(writer: Writer, node: onnx.NodeProto, outputs: int) -> tuple[np.ndarray, float, np.ndarray] | None:
    """Int8 weights, scale of the input and scales of the weights, where a layer computes in integers."""
    view = writer.view
    group = int(attributes_of(node).get("group", 1))
    if node.op_type == "ConvTranspose" or group not in (1, outputs):
        return None
    given, weight = view.read(node.input[0]), view.weight(node)
    if given is None or weight is None or not _around_zero(given) or not _around_zero(weight):
        return None
    assert given.values is not None
    assert weight.values is not None
    stored = view.value(view.behind(node.input[1]))
    if given.values.size != 1 or weight.block or stored is None or stored.dtype != np.int8:
        return None
    if weight.values.size not in (1, outputs) or (weight.values.size > 1 and weight.axis != _axis(node)):
        return None
    values = view.arranged(node, stored)
    return values, float(given.values.flat[0]), np.resize(weight.values.astype(np.float64).ravel(), outputs)


def in_integers(writer: Writer, node: onnx.NodeProto) -> bool:
    """Whether a weighted operation becomes an int8 layer."""
    shape = writer.view.shape(writer.view.behind(node.input[1])) or ()
    transposed = node.op_type != "Conv" and not attributes_of(node).get("transB", 0)
    return len(shape) > 1 and _scales(writer, node, shape[1] if transposed else shape[0]) is not None


def _axis(node: onnx.NodeProto) -> int:
    return 0 if node.op_type == "Conv" or attributes_of(node).get("transB", 0) else 1


def _around_zero(scale: Scale) -> bool:
    known = scale.values is not None and scale.points is not None
    return known and scale.kind == "int8" and not np.any(scale.points) and bool(np.all(scale.values > 0))  # type: ignore[operator]


def _floats(writer: Writer, node: onnx.NodeProto, place: int) -> np.ndarray | None:
    """A stored input of a node in float32, what Q/DQ around it makes of it."""
    if len(node.input) <= place or not node.input[place]:
        return None
    view = writer.view
    name = node.input[place]
    scale = view.weight(node) if place == 1 else view.read(name)
    stored = view.value(view.behind(name)) if place != 1 else view.value(view.origin(name))
    if stored is None:
        raise Unwritable(f"its input {name} is not a constant")
    if place == 1:
        stored = view.arranged(node, stored) if scale is not None else view.value(name)
    assert stored is not None
    if scale is not None and stored.dtype.kind in "iu":
        if scale.values is None or scale.points is None or scale.block:
            raise Unwritable(f"its input {name} has scales that cannot be read")
        spread = [-1 if axis == scale.axis else 1 for axis in range(stored.ndim)] if scale.values.size > 1 else ()
        stored = (stored.astype(np.float32) - scale.points.astype(np.float32).reshape(spread)) * scale.values.reshape(
            spread
        )
    return np.ascontiguousarray(stored, np.float32)


def _conv(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:
    weight = _floats(writer, node, 1)
    bias = _floats(writer, node, 2)
    assert weight is not None
    window = _window(node, said, weight.shape[2:])
    writer.shape(node.input[0])
    outputs, group = weight.shape[0], int(said.get("group", 1))
    parameters: dict[int, Parameter] = {
        **_geometry(window),
        0: outputs,
        5: int(bias is not None),
        6: weight.size,
    }
    weights = [weight] + ([bias] if bias is not None else [])
    if group > 1:
        parameters[7] = group
    integers = _scales(writer, node, outputs)
    if integers is not None:
        parameters[8] = 1
        weights = [integers[0], *weights[1:], *_factors(integers)]
    kind = "ConvolutionDepthWise" if group > 1 else "Convolution"
    writer.add(
        kind, writer.view.name(node), [writer.source(node.input[0])], node.output[:1], _in_order(parameters), weights
    )


def _factors(integers: tuple[np.ndarray, float, np.ndarray]) -> list[np.ndarray]:
    """ncnn multiplies by its scales where ONNX divides."""
    return [(1 / integers[2]).astype(np.float32), np.array([1 / integers[1]], np.float32)]


def _geometry(window: dict[str, list[int]]) -> dict[int, Parameter]:
    top, left, bottom, right = window["pads"]
    height, width = window["kernel"]
    return {
        1: width,
        11: height,
        2: window["dilations"][1],
        12: window["dilations"][0],
        3: window["strides"][1],
        13: window["strides"][0],
        4: left,
        14: top,
        15: right,
        16: bottom,
    }


def _in_order(parameters: dict[int, Parameter]) -> dict[int, Parameter]:
    return dict(sorted(parameters.items()))


def _conv_transpose(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:
    weight = _floats(writer, node, 1)
    bias = _floats(writer, node, 2)
    assert weight is not None
    if said.get("group", 1) != 1 or "output_shape" in said:
        raise Unwritable("ConvTranspose with groups or a fixed output shape")
    window = _window(node, said, weight.shape[2:])
    more = list(said.get("output_padding", [0, 0]))
    parameters: dict[int, Parameter] = {
        **_geometry(window),
        0: weight.shape[1],
        5: int(bias is not None),
        6: weight.size,
        18: more[1],
        19: more[0],
    }
    turned = np.ascontiguousarray(weight.transpose(1, 0, 2, 3))
    weights = [turned] + ([bias] if bias is not None else [])
    name = writer.view.name(node)
    writer.add("Deconvolution", name, [writer.source(node.input[0])], node.output[:1], _in_order(parameters), weights)


def _gemm(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:
    weight, bias = _floats(writer, node, 1), _floats(writer, node, 2)
    assert weight is not None
    plain = said.get("alpha", 1.0) == said.get("beta", 1.0) == 1 and not said.get("transA", 0)
    if weight.ndim != 2 or len(writer.shape(node.input[0])) != 1 or not plain:
        raise Unwritable(f"{node.op_type} on more than one row of values, or with alpha or beta")
    turned = bool(said.get("transB", 0))
    outputs = weight.shape[0 if turned else 1]
    if bias is not None and bias.size != outputs:
        bias = np.broadcast_to(bias.reshape(-1), (outputs,))
    integers = _scales(writer, node, outputs)
    first = weight if integers is None else integers[0]
    weights = [np.ascontiguousarray(first if turned else first.T)] + ([bias.reshape(-1)] if bias is not None else [])
    parameters: dict[int, Parameter] = {0: outputs, 1: int(bias is not None), 2: weight.size}
    if integers is not None:
        parameters[8] = 1
        weights += _factors(integers)
    name = writer.view.name(node)
    writer.add("InnerProduct", name, [writer.source(node.input[0])], node.output[:1], parameters, weights)


def _pool(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:
    window = _window(node, said, said["kernel_shape"])
    if any(step != 1 for step in window["dilations"]) or len([name for name in node.output if name]) > 1:
        raise Unwritable(f"{node.op_type} with dilations or a second output")
    top, left, bottom, right = window["pads"]
    height, width = window["kernel"]
    parameters: dict[int, Parameter] = {
        0: int(node.op_type == "AveragePool"),
        1: width,
        2: window["strides"][1],
        3: left,
        5: 0 if said.get("ceil_mode", 0) else 1,
        6: int(said.get("count_include_pad", 0)),
        11: height,
        12: window["strides"][0],
        13: top,
        14: right,
        15: bottom,
    }
    if said.get("ceil_mode", 0) and node.op_type == "AveragePool":
        raise Unwritable("AveragePool with ceil_mode")
    writer.add("Pooling", writer.view.name(node), [writer.source(node.input[0])], node.output[:1], parameters)


def _global_pool(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:  # noqa: ARG001
    name = writer.view.name(node)
    made = f"{node.output[0]}_flat"
    parameters: dict[int, Parameter] = {0: int(node.op_type == "GlobalAveragePool"), 4: 1}
    writer.add("Pooling", name, [writer.source(node.input[0])], [made], parameters)
    writer.add("Reshape", f"{name}_reshape", [made], node.output[:1], _sizes(writer.shape(node.output[0])))


def _binary(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:  # noqa: ARG001
    name = writer.view.name(node)
    if node.output[0] in writer.view.graph.silus:
        gate = writer.view.graph.silus[node.output[0]]
        writer.add("Swish", name, [gate.inputs[0]], node.output[:1])
        return
    if len(node.input) != 2:
        raise Unwritable(f"{node.op_type} with {len(node.input)} inputs")
    values = [writer.value(each) for each in node.input]
    kind = BINARY[node.op_type]
    for place in (0, 1):
        value = values[place]
        if value is None or value.size != 1:
            continue
        (number,) = (float(each) for each in value.ravel())
        if node.op_type == "Pow" and place == 1 and number == 2:
            writer.add("UnaryOp", name, [writer.source(node.input[0])], node.output[:1], {0: SQUARE})
            return
        turned = TURNED.get(node.op_type, kind) if place == 0 else kind
        parameters: dict[int, Parameter] = {0: turned, 1: 1, 2: number}
        writer.add("BinaryOp", name, [writer.source(node.input[1 - place])], node.output[:1], parameters)
        return
    rank = len(writer.shape(node.output[0]))
    read = [_operand(writer, node, place, rank, value) for place, value in enumerate(values)]
    writer.add("BinaryOp", name, read, node.output[:1], {0: kind})


def _operand(writer: Writer, node: onnx.NodeProto, place: int, rank: int, value: np.ndarray | None) -> str:
    """A blob of as many dimensions as the result."""
    name = f"{writer.view.name(node)}_operand{place}"
    if value is not None:
        shape = (*(1,) * (rank + 1 - value.ndim), *value.shape)[-rank - 1 :]
        if shape[0] != 1:
            raise Unwritable(f"its constant of shape {list(value.shape)} has no batch of 1 in front")
        writer.add("MemoryData", name, (), [name], _sizes(shape[1:]), [value.astype(np.float32).reshape(-1)])
        return name
    source = writer.source(node.input[place])
    shape = writer.shape(source)
    if len(shape) == rank:
        return source
    raise Unwritable(f"its inputs have {len(shape)} and {rank} dimensions")


def _concat(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:
    axis = writer.axis(said["axis"], writer.shape(node.output[0]))
    rank = len(writer.shape(node.output[0]))
    read = [_operand(writer, node, place, rank, writer.value(name)) for place, name in enumerate(node.input)]
    writer.add("Concat", writer.view.name(node), read, node.output[:1], {0: axis})


def _slice(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:  # noqa: ARG001
    shape = writer.shape(node.input[0])
    given = [writer.value(name) if name else None for name in node.input[1:]]
    if any(value is None for value in given[:2]):
        raise Unwritable("Slice with computed starts or ends")
    starts, ends = (np.asarray(value).ravel().tolist() for value in given[:2])
    axes = np.ravel(given[2]).tolist() if len(given) > 2 and given[2] is not None else list(range(len(starts)))
    steps = np.ravel(given[3]).tolist() if len(given) > 3 and given[3] is not None else [1] * len(starts)
    if any(step != 1 for step in steps):
        raise Unwritable("Slice in steps")
    places = [writer.axis(int(axis), shape) for axis in axes]
    firsts, lasts = [], []
    for start, end, axis in zip(starts, ends, places, strict=True):
        first, last, _ = slice(int(start), int(min(end, 2**31))).indices(shape[axis])
        firsts.append(first)
        lasts.append(last)
    parameters: dict[int, Parameter] = {9: tuple(firsts), 10: tuple(lasts), 11: tuple(places)}
    writer.add("Crop", writer.view.name(node), [writer.source(node.input[0])], node.output[:1], parameters)


def _split_node(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:
    shape = writer.shape(node.input[0])
    axis = writer.axis(int(said.get("axis", 0)), shape)
    sizes = tuple(writer.shape(name)[axis] for name in node.output)
    parameters: dict[int, Parameter] = {0: sizes, 1: axis}
    writer.add("Slice", writer.view.name(node), [writer.source(node.input[0])], list(node.output), parameters)


def _reshape(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:  # noqa: ARG001
    writer.shape(node.input[0])
    parameters = _sizes(writer.shape(node.output[0]))
    writer.add("Reshape", writer.view.name(node), [writer.source(node.input[0])], node.output[:1], parameters)


def _transpose(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:
    shape = writer.shape(node.input[0])
    order = tuple(said.get("perm", range(len(shape) + 1)[::-1]))
    if order[0] != 0:
        raise Unwritable("Transpose that moves the batch")
    moved = tuple(axis - 1 for axis in order[1:])
    name, read = writer.view.name(node), [writer.source(node.input[0])]
    if len(moved) == 1:
        writer.add("Reshape", name, read, node.output[:1], _sizes(shape))
        return
    writer.add("Permute", name, read, node.output[:1], {0: ORDERS[len(moved)].index(moved)})


def _resize(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:
    before, behind = writer.shape(node.input[0]), writer.shape(node.output[0])
    mode = said.get("mode", b"nearest").decode()
    places = said.get("coordinate_transformation_mode", b"half_pixel").decode()
    whole = len(before) == 3 and before[0] == behind[0]
    nearest = mode == "nearest" and places == "asymmetric" and said.get("nearest_mode", b"").decode() == "floor"
    linear = mode == "linear" and places in ("half_pixel", "pytorch_half_pixel", "align_corners")
    if not whole or not (nearest or linear) or said.get("antialias", 0):
        raise Unwritable(f"Resize in mode {mode} with {places}")
    parameters: dict[int, Parameter] = {0: 1 if nearest else 2, 3: behind[1], 4: behind[2]}
    if places == "align_corners":
        parameters[6] = 1
    writer.add("Interp", writer.view.name(node), [writer.source(node.input[0])], node.output[:1], parameters)


def _reduce(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:
    shape = writer.shape(node.input[0])
    given = writer.value(node.input[1]) if len(node.input) > 1 else np.array(said.get("axes", ()))
    if given is None or not given.size:
        raise Unwritable(f"{node.op_type} over all axes or computed ones")
    axes = tuple(writer.axis(int(axis), shape) for axis in given.ravel())
    keep = int(said.get("keepdims", 1))
    if not keep and len(axes) == len(shape):
        raise Unwritable(f"{node.op_type} to a single value")
    parameters: dict[int, Parameter] = {0: REDUCTIONS[node.op_type], 1: 0, 3: axes, 4: keep, 5: 1}
    writer.add("Reduction", writer.view.name(node), [writer.source(node.input[0])], node.output[:1], parameters)


def _softmax(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:
    axis = writer.axis(int(said.get("axis", -1)), writer.shape(node.input[0]))
    writer.add("Softmax", writer.view.name(node), [writer.source(node.input[0])], node.output[:1], {0: axis, 1: 1})


def _clip(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:
    ends = [said.get("min"), said.get("max")]
    for place in (1, 2):
        if len(node.input) > place and node.input[place]:
            value = writer.value(node.input[place])
            if value is None:
                raise Unwritable("Clip with computed limits")
            ends[place - 1] = float(value.ravel()[0])
    largest = float(np.finfo(np.float32).max)
    low, high = (-largest if ends[0] is None else float(ends[0])), (largest if ends[1] is None else float(ends[1]))
    parameters: dict[int, Parameter] = {0: max(low, -largest), 1: min(high, largest)}
    writer.add("Clip", writer.view.name(node), [writer.source(node.input[0])], node.output[:1], parameters)


def _plain(kind: str, *fields: tuple[int, str, float]) -> Rule:
    """A layer of one input; fields are a parameter, the attribute it comes from, and its default."""

    def write(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:
        writer.shape(node.input[0])
        parameters: dict[int, Parameter] = {key: float(said.get(name, default)) for key, name, default in fields}
        writer.add(kind, writer.view.name(node), [writer.source(node.input[0])], node.output[:1], parameters)

    return write


def _unary(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:  # noqa: ARG001
    writer.shape(node.input[0])
    parameters: dict[int, Parameter] = {0: UNARY[node.op_type]}
    writer.add("UnaryOp", writer.view.name(node), [writer.source(node.input[0])], node.output[:1], parameters)


def _hard_swish(writer: Writer, node: onnx.NodeProto, said: dict[str, Any]) -> None:  # noqa: ARG001
    writer.shape(node.input[0])
    parameters: dict[int, Parameter] = {0: 1 / 6, 1: 0.5}
    writer.add("HardSwish", writer.view.name(node), [writer.source(node.input[0])], node.output[:1], parameters)


Rule = Callable[[Writer, onnx.NodeProto, dict[str, Any]], None]
RULES: dict[str, Rule] = {
    **dict.fromkeys(BINARY, _binary),
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(REDUCTIONS, _reduce),
    "AveragePool": _pool,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Flatten": _reshape,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool,
    "GlobalMaxPool": _global_pool,
    "HardSigmoid": _plain("HardSigmoid", (0, "alpha", 0.2), (1, "beta", 0.5)),
    "HardSwish": _hard_swish,
    "LeakyRelu": _plain("ReLU", (0, "alpha", 0.01)),
    "MatMul": _gemm,
    "MaxPool": _pool,
    "Relu": _plain("ReLU"),
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": _plain("Sigmoid"),
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split_node,
    "Squeeze": _reshape,
    "Tanh": _plain("TanH"),
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
"""Operator -> what writes its layers."""
