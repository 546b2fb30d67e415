"""Small detectors, each with one block that other people's files have between its convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from qcore.plugin import Contract, Form, Model, Silent, Step, Tensor
from qcore_kit.kinds import ProfileSpec

FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
CHANNELS, SIDE = 8, 12
BLOCKS: dict[str, Callable[[Builder, str], str]] = {}
Layer = Callable[[str], str]
Bias = tuple[int, ...] | None


class Builder:
    """Nodes and constants of a graph in the making."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.opset = 20

    def const(self, value: object, kind: type = np.float32, name: str | None = None) -> str:
        """A stored tensor."""
        name = name or f"k{len(self.constants)}"
        self.constants[name] = np.array(value, kind)
        return name

    def learned(self, *shape: int, spread: float = 0.3, axis: int = 0, name: str | None = None) -> str:
        """A weight whose channels along an axis differ in size by tens, as they do once BatchNorm is folded."""
        sizes = [1] * len(shape)
        sizes[axis] = shape[axis]
        value = self.rng.normal(0, spread, shape) * self.rng.uniform(0.02, 1, sizes)
        return self.const(value, name=name)

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """A node; the name of its first result."""
        number = len(self.nodes)
        names = [f"t{number}" if not place else f"t{number}_{place}" for place in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, f"{kind.lower()}{number}", **attributes))
        return names[0]

    def conv(self, source: str, made: int, read: int, kernel: int = 1, **attributes: Any) -> str:
        """A convolution that keeps the size."""
        weight = self.learned(made, read // int(attributes.get("group", 1)), kernel, kernel)
        bias = self.const(self.rng.normal(0, 0.3, made))
        return self.op("Conv", source, weight, bias, **{"pads": [kernel // 2] * 4, **attributes})

    def model(self, output: str) -> onnx.ModelProto:
        """A checked model of what `output` depends on."""
        graph = helper.make_graph(
            self.nodes,
            "zoo",
            [helper.make_tensor_value_info("x", FLOAT, [1, 3, SIDE, SIDE])],
            [helper.make_tensor_value_info(output, FLOAT, None)],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)
        inferred = onnx.shape_inference.infer_shapes(made, strict_mode=True)
        made.graph.output[0].CopyFrom(inferred.graph.output[0])
        onnx.checker.check_model(made)
        return made


def build(name: str) -> onnx.ModelProto:
    """A convolution, the block, two convolutions, of which the last stays float, and a decode."""
    b = Builder()
    source = b.op("LeakyRelu", b.conv("x", CHANNELS, 3, 3), alpha=0.3)
    source = BLOCKS[name](b, source)
    head = b.conv(b.conv(source, 6, CHANNELS), 5, 6)
    return b.model(b.op("Reshape", head, b.const([1, 5, -1], np.int64)))


def example(name: str = "resize_nearest") -> Model:
    """A graph of the zoo as a float model with a contract: input `x`, one output, no pre- or postprocessing."""
    proto = build(name)
    output = proto.graph.output[0]
    dims = output.type.tensor_type.shape.dim
    shape = tuple(size.dim_value or f"size{place}" for place, size in enumerate(dims))
    contract = Contract(
        "zoo",
        (Tensor("x", "float32", (1, 3, SIDE, SIDE), "NCHW"),),
        (Tensor(output.name, "float32", shape),),
        Step("none"),
        Step("none"),
    )
    return Model(Form("onnx", encoding="float", precision="f32"), proto, contract)


def inputs(count: int = 4) -> list[dict[str, Any]]:
    """Inputs of every graph of the zoo, from 0 to 1; always the same."""
    return [{"x": np.random.default_rng(seed).random((1, 3, SIDE, SIDE), np.float32)} for seed in range(count)]


def table(name: str = "resize_nearest") -> Model:
    """The scale table of a graph of the zoo, calibrated with `inputs()`."""
    from qcore_kit.quantization.calibration import ranges
    from qcore_kit.quantization.graph import from_onnx
    from qcore_kit.quantization.placement import candidates
    from qcore_kit.quantization.table import ScaleTable, weight_scales

    model = example(name)
    graph = from_onnx(model.module)
    module = ScaleTable.make(
        model.module,
        ranges(model.module, graph, inputs(), "minmax"),
        weight_scales(graph, model.module),
        needed=candidates(graph),
    )
    return model.evolve(form=Form("table", encoding="ranges", precision="f32"), module=module)


def written(table: Model, profile: str) -> Model:
    """A scale table, written under an installed profile."""
    import qcore

    model: Model = qcore.plugins.get(ProfileSpec, profile).create().convert(table, options={}, progress=Silent())
    return model


def block(function: Callable[[Builder, str], str]) -> Callable[[Builder, str], str]:
    """Registers a block; it reads and makes [1, CHANNELS, side, side]."""
    BLOCKS[function.__name__] = function
    return function


def _squeeze(b: Builder, x: str, *linear: Layer) -> str:
    """Squeeze-excite: two fully connected layers on the mean of each channel."""
    values = b.op("Flatten", b.op("GlobalAveragePool", x))
    hidden = b.op("Relu", linear[0](values))
    gate = b.op("Sigmoid", linear[1](hidden))
    return b.op("Mul", x, b.op("Reshape", gate, b.const([1, CHANNELS, 1, 1], np.int64)))


def _gemm(b: Builder, read: int, made: int, trans: int, bias: Bias = None, **attributes: Any) -> Layer:
    def apply(x: str) -> str:
        weight = b.learned(made, read, axis=0) if trans else b.learned(read, made, axis=1)
        more = [] if bias is None else [b.const(b.rng.normal(0, 0.5, bias))]
        return b.op("Gemm", x, weight, *more, transB=trans, **attributes)

    return apply


def _gemms(
    b: Builder, x: str, hidden: int, trans: int, first: Bias = None, second: Bias = None, **attributes: Any
) -> str:
    return _squeeze(
        b,
        x,
        _gemm(b, CHANNELS, hidden, trans, first, **attributes),
        _gemm(b, hidden, CHANNELS, trans, second, **attributes),
    )


@block
def gemm_transposed(b: Builder, x: str) -> str:
    return _gemms(b, x, 16, 1, (16,), (CHANNELS,))


@block
def gemm_transposed_square(b: Builder, x: str) -> str:
    return _gemms(b, x, CHANNELS, 1, (CHANNELS,), (CHANNELS,))


@block
def gemm_plain(b: Builder, x: str) -> str:
    return _gemms(b, x, 16, 0, (16,), (CHANNELS,))


@block
def gemm_without_bias(b: Builder, x: str) -> str:
    return _gemms(b, x, 16, 1)


@block
def gemm_with_a_row_as_bias(b: Builder, x: str) -> str:
    return _gemms(b, x, 16, 1, (1, 16), (1, CHANNELS))


@block
def gemm_with_one_number_as_bias(b: Builder, x: str) -> str:
    return _gemms(b, x, 16, 1, (1,), ())


@block
def gemm_alpha_beta(b: Builder, x: str) -> str:
    return _gemms(b, x, 16, 1, (16,), (CHANNELS,), alpha=2.5, beta=0.4)


@block
def gemm_negative_alpha(b: Builder, x: str) -> str:
    return _gemms(b, x, 16, 0, (16,), (CHANNELS,), alpha=-1.5, beta=-1.0)


@block
def gemm_transposed_input(b: Builder, x: str) -> str:
    def first(values: str) -> str:
        column = b.op("Reshape", values, b.const([CHANNELS, 1], np.int64))
        bias = b.const(b.rng.normal(0, 0.5, 16))
        return b.op("Gemm", column, b.learned(16, CHANNELS), bias, transA=1, transB=1)

    return _squeeze(b, x, first, _gemm(b, 16, CHANNELS, 1, (CHANNELS,)))


@block
def gemm_with_many_rows_as_bias(b: Builder, x: str) -> str:
    rows = b.op("Reshape", x, b.const([CHANNELS, SIDE * SIDE], np.int64))
    weight = b.learned(SIDE * SIDE, SIDE * SIDE, spread=0.05)
    made = b.op("Gemm", rows, weight, b.const(b.rng.normal(0, 0.5, (CHANNELS, SIDE * SIDE))), transB=1)
    return b.op("Reshape", made, b.const([1, CHANNELS, SIDE, SIDE], np.int64))


@block
def gemm_with_the_constant_left(b: Builder, x: str) -> str:
    rows = b.op("Reshape", x, b.const([CHANNELS, SIDE * SIDE], np.int64))
    made = b.op("Gemm", b.learned(CHANNELS, CHANNELS), rows)
    return b.op("Reshape", made, b.const([1, CHANNELS, SIDE, SIDE], np.int64))


def _tokens(b: Builder, x: str, layer: Layer) -> str:
    """The layer on [1, positions, channels]."""
    flat = b.op("Reshape", x, b.const([1, CHANNELS, -1], np.int64))
    made = layer(b.op("Transpose", flat, perm=[0, 2, 1]))
    return b.op("Reshape", b.op("Transpose", made, perm=[0, 2, 1]), b.const([1, CHANNELS, SIDE, SIDE], np.int64))


@block
def matmul(b: Builder, x: str) -> str:
    def layer(tokens: str) -> str:
        made = b.op("MatMul", tokens, b.learned(CHANNELS, CHANNELS, axis=1))
        return b.op("Relu", b.op("Add", made, b.const(b.rng.normal(0, 0.3, CHANNELS))))

    return _tokens(b, x, layer)


@block
def matmul_with_the_constant_left(b: Builder, x: str) -> str:
    flat = b.op("Reshape", x, b.const([1, CHANNELS, -1], np.int64))
    made = b.op("MatMul", b.learned(CHANNELS, CHANNELS), flat)
    return b.op("Reshape", made, b.const([1, CHANNELS, SIDE, SIDE], np.int64))


@block
def matmul_batched(b: Builder, x: str) -> str:
    heads = b.op("Reshape", x, b.const([1, 2, CHANNELS // 2, -1], np.int64))
    tokens = b.op("Transpose", heads, perm=[0, 1, 3, 2])
    made = b.op("MatMul", tokens, b.learned(2, CHANNELS // 2, CHANNELS // 2, axis=2))
    back = b.op("Transpose", made, perm=[0, 1, 3, 2])
    return b.op("Reshape", back, b.const([1, CHANNELS, SIDE, SIDE], np.int64))


@block
def matmul_by_a_vector(b: Builder, x: str) -> str:
    gate = _vector(b, x)
    return b.op("Mul", x, gate)


def _vector(b: Builder, x: str) -> str:
    tokens = b.op("Transpose", b.op("Reshape", x, b.const([1, CHANNELS, -1], np.int64)), perm=[0, 2, 1])
    made = b.op("MatMul", tokens, b.learned(CHANNELS))
    return b.op("Sigmoid", b.op("Reshape", made, b.const([1, 1, SIDE, SIDE], np.int64)))


@block
def attention(b: Builder, x: str) -> str:
    def layer(tokens: str) -> str:
        query, key, value = (b.op("MatMul", tokens, b.learned(CHANNELS, CHANNELS, axis=1)) for _ in range(3))
        weights = b.op("Softmax", b.op("MatMul", query, b.op("Transpose", key, perm=[0, 2, 1])), axis=-1)
        made = b.op("MatMul", b.op("MatMul", weights, value), b.learned(CHANNELS, CHANNELS, axis=1))
        return b.op("Add", tokens, made)

    return _tokens(b, x, layer)


@block
def transposed_convolution(b: Builder, x: str) -> str:
    bias = b.const(b.rng.normal(0, 0.3, CHANNELS))
    return b.op("ConvTranspose", x, b.learned(CHANNELS, CHANNELS, 2, 2, axis=1), bias, strides=[2, 2])


@block
def transposed_convolution_in_groups(b: Builder, x: str) -> str:
    bias = b.const(b.rng.normal(0, 0.3, CHANNELS))
    return b.op("ConvTranspose", x, b.learned(CHANNELS, 2, 2, 2, axis=1), bias, strides=[2, 2], group=4)


@block
def depthwise_transposed_convolution(b: Builder, x: str) -> str:
    return b.op("ConvTranspose", x, b.learned(CHANNELS, 1, 4, 4), strides=[2, 2], pads=[1] * 4, group=CHANNELS)


@block
def grouped_convolution(b: Builder, x: str) -> str:
    return b.op("Relu", b.conv(b.op("Relu", b.conv(x, CHANNELS, CHANNELS, 3, group=4)), CHANNELS, CHANNELS, 3, group=8))


@block
def dilated_convolution(b: Builder, x: str) -> str:
    return b.op("Relu", b.conv(x, CHANNELS, CHANNELS, 3, pads=[2] * 4, dilations=[2, 2]))


@block
def one_weight_for_two_convolutions(b: Builder, x: str) -> str:
    weight, bias = b.learned(CHANNELS, CHANNELS, 1, 1), b.const(b.rng.normal(0, 0.3, CHANNELS))
    first = b.op("Relu", b.op("Conv", x, weight, bias))
    return b.op("Add", first, b.op("Relu", b.op("Conv", first, weight, bias)))


def _pool(b: Builder, x: str, kind: str = "AveragePool", **attributes: Any) -> str:
    """A pool with pads on values on both sides of 0, so that zero points are not 0."""
    shifted = b.op("LeakyRelu", b.conv(x, CHANNELS, CHANNELS), alpha=0.7)
    return b.op(kind, shifted, kernel_shape=[3, 3], pads=[1] * 4, **attributes)


@block
def average_pool_that_counts_its_pads(b: Builder, x: str) -> str:
    return _pool(b, x, count_include_pad=1)


@block
def average_pools_that_count_their_pads_and_meet(b: Builder, x: str) -> str:
    start = b.op("LeakyRelu", b.conv(x, CHANNELS, CHANNELS), alpha=0.7)
    made = [start]
    for _ in range(2):
        made.append(b.op("AveragePool", made[-1], kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1))
    return b.conv(b.op("Concat", *made, axis=1), CHANNELS, 3 * CHANNELS)


@block
def average_pool_that_leaves_its_pads_out(b: Builder, x: str) -> str:
    return _pool(b, x)


@block
def average_pool_with_pads_at_one_end(b: Builder, x: str) -> str:
    start = b.op("LeakyRelu", b.conv(x, CHANNELS, CHANNELS), alpha=0.7)
    made = b.op("AveragePool", start, kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER", count_include_pad=1)
    return b.op("Relu", b.conv(made, CHANNELS, CHANNELS))


@block
def average_pool_that_rounds_up(b: Builder, x: str) -> str:
    start = b.op("LeakyRelu", b.conv(x, CHANNELS, CHANNELS), alpha=0.7)
    return b.op("AveragePool", start, kernel_shape=[5, 5], strides=[2, 2], ceil_mode=1, count_include_pad=1)


@block
def max_pool_with_pads(b: Builder, x: str) -> str:
    return _pool(b, x, "MaxPool")


@block
def reduce_mean(b: Builder, x: str) -> str:
    shifted = b.op("LeakyRelu", b.conv(x, CHANNELS, CHANNELS), alpha=0.7)
    mean = b.op("ReduceMean", shifted, b.const([2, 3], np.int64), keepdims=1)
    return b.op("Mul", x, b.op("Sigmoid", b.conv(mean, CHANNELS, CHANNELS)))


@block
def reduce_max(b: Builder, x: str) -> str:
    shifted = b.op("LeakyRelu", b.conv(x, CHANNELS, CHANNELS), alpha=0.7)
    largest = b.op("ReduceMax", shifted, b.const([1], np.int64), keepdims=1)
    return b.op("Mul", x, b.op("Sigmoid", b.op("Conv", largest, b.learned(1, 1, 3, 3, spread=2), pads=[1] * 4)))


@block
def reduce_min(b: Builder, x: str) -> str:
    shifted = b.op("LeakyRelu", b.conv(x, CHANNELS, CHANNELS), alpha=0.7)
    smallest = b.op("ReduceMin", shifted, b.const([2], np.int64), keepdims=1)
    return b.op("Mul", x, b.op("Sigmoid", b.conv(smallest, CHANNELS, CHANNELS)))


@block
def attention_to_places(b: Builder, x: str) -> str:
    """CBAM: mean and largest of all channels, a convolution over both, and a gate."""
    shifted = b.op("LeakyRelu", b.conv(x, CHANNELS, CHANNELS), alpha=0.7)
    both = [b.op(kind, shifted, b.const([1], np.int64), keepdims=1) for kind in ("ReduceMean", "ReduceMax")]
    gate = b.op("Conv", b.op("Concat", *both, axis=1), b.learned(1, 2, 7, 7, spread=2), pads=[3] * 4)
    return b.op("Mul", shifted, b.op("Sigmoid", gate))


@block
def attention_to_channels(b: Builder, x: str) -> str:
    """CBAM: the same two layers on mean and largest of each channel."""
    shifted = b.op("LeakyRelu", b.conv(x, CHANNELS, CHANNELS), alpha=0.7)
    first, second = b.learned(4, CHANNELS, 1, 1), b.learned(CHANNELS, 4, 1, 1, axis=1)
    made = [
        b.op("Conv", b.op("Relu", b.op("Conv", b.op(kind, shifted), first)), second)
        for kind in ("GlobalAveragePool", "GlobalMaxPool")
    ]
    return b.op("Mul", shifted, b.op("Sigmoid", b.op("Add", *made)))


@block
def normalised(b: Builder, x: str) -> str:
    def layer(tokens: str) -> str:
        scale, bias = b.const(b.rng.uniform(0.5, 2, CHANNELS)), b.const(b.rng.normal(0, 0.3, CHANNELS))
        made = b.op("LayerNormalization", tokens, scale, bias, axis=-1)
        return b.op("MatMul", made, b.learned(CHANNELS, CHANNELS, axis=1))

    return _tokens(b, x, layer)


@block
def arithmetic(b: Builder, x: str) -> str:
    first, second = b.conv(x, CHANNELS, CHANNELS), b.op("Sigmoid", b.conv(x, CHANNELS, CHANNELS))
    ratio = b.op("Div", first, b.op("Add", second, b.const(0.5)))
    spread = b.op("Sqrt", b.op("Add", b.op("Pow", first, b.const(2.0)), b.const(0.1)))
    chosen = b.op("Where", b.op("Greater", first, b.const(0.0)), ratio, spread)
    return b.op("Max", b.op("Min", chosen, b.const(0.7)), b.op("Neg", second))


@block
def gathered(b: Builder, x: str) -> str:
    made = b.conv(x, CHANNELS, CHANNELS)
    turned = b.op("Gather", made, b.const(list(range(CHANNELS - 1, -1, -1)), np.int64), axis=1)
    wide = b.op(
        "Tile", b.op("Expand", turned, b.const([1, CHANNELS, SIDE, SIDE], np.int64)), b.const([1, 1, 1, 2], np.int64)
    )
    return b.op("Identity", wide)


def _padded(b: Builder, x: str, value: float | None, mode: str = "constant") -> str:
    shifted = b.op("LeakyRelu", b.conv(x, CHANNELS, CHANNELS), alpha=0.7)
    more = [] if value is None else [b.const(value)]
    padded = b.op("Pad", shifted, b.const([0, 0, 1, 1, 0, 0, 1, 1], np.int64), *more, mode=mode)
    return b.op("Relu", b.op("Conv", padded, b.learned(CHANNELS, CHANNELS, 3, 3)))


@block
def pad_with_zero(b: Builder, x: str) -> str:
    return _padded(b, x, None)


@block
def pad_with_a_number(b: Builder, x: str) -> str:
    return _padded(b, x, 0.5)


@block
def pad_with_a_number_out_of_range(b: Builder, x: str) -> str:
    return _padded(b, x, -6.0)


@block
def pad_by_reflection(b: Builder, x: str) -> str:
    return _padded(b, x, None, "reflect")


def _resized(b: Builder, x: str, **attributes: Any) -> str:
    shifted = b.op("LeakyRelu", b.conv(x, CHANNELS, CHANNELS), alpha=0.7)
    return b.op("Resize", shifted, "", b.const([1, 1, 2, 2]), **attributes)


@block
def resize_nearest(b: Builder, x: str) -> str:
    return _resized(b, x, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")


@block
def resize_linear(b: Builder, x: str) -> str:
    return _resized(b, x, mode="linear")


@block
def resize_cubic(b: Builder, x: str) -> str:
    return _resized(b, x, mode="cubic")


@block
def activations(b: Builder, x: str) -> str:
    made = [b.op(kind, b.conv(x, CHANNELS, CHANNELS)) for kind in ("HardSwish", "Elu", "Softplus", "Gelu", "Tanh")]
    slopes = b.const(b.rng.uniform(0.1, 0.4, (CHANNELS, 1, 1)))
    return b.op("Add", b.op("PRelu", b.conv(x, CHANNELS, CHANNELS), slopes), b.op("Sum", *made))


@block
def hard_sigmoid_gate(b: Builder, x: str) -> str:
    made = b.conv(x, CHANNELS, CHANNELS)
    return b.op("Mul", made, b.op("HardSigmoid", made, alpha=1 / 6, beta=0.5))


@block
def clipped(b: Builder, x: str) -> str:
    return b.op("Clip", b.conv(x, CHANNELS, CHANNELS), b.const(-0.2), b.const(0.6))


@block
def concat_along_height(b: Builder, x: str) -> str:
    return b.op("Concat", b.conv(x, CHANNELS, CHANNELS), b.op("Sigmoid", x), axis=2)


@block
def concat_with_a_constant(b: Builder, x: str) -> str:
    grid = b.const(b.rng.uniform(-3, 3, (1, 2, SIDE, SIDE)))
    return b.op("Relu", b.conv(b.op("Concat", b.conv(x, CHANNELS, CHANNELS), grid, axis=1), CHANNELS, CHANNELS + 2))


@block
def sums(b: Builder, x: str) -> str:
    first, second = b.conv(x, CHANNELS, CHANNELS), b.op("Sigmoid", b.conv(x, CHANNELS, CHANNELS))
    return b.op("Add", b.op("Sum", first, second, x), b.op("Sub", first, second))


@block
def splits(b: Builder, x: str) -> str:
    left = b.op("Split", b.conv(x, CHANNELS, CHANNELS), b.const([4, 4], np.int64), outputs=2, axis=1)
    first = b.op("Relu", b.conv(left, 4, 4))
    return b.op("Concat", first, f"{left}_1", axis=1)


@block
def space_to_depth_and_back(b: Builder, x: str) -> str:
    deep = b.op("SpaceToDepth", x, blocksize=2)
    return b.op("DepthToSpace", b.conv(deep, 4 * CHANNELS, 4 * CHANNELS), blocksize=2)


@block
def sides_computed_from_the_shape(b: Builder, x: str) -> str:
    """As exporters write an upsampling to twice the size: arithmetic on the shape, in integers and in floats."""
    made = b.conv(x, CHANNELS, CHANNELS)
    sides = b.op("Slice", b.op("Shape", made), b.const([2], np.int64), b.const([4], np.int64))
    doubled = b.op("Add", sides, b.op("Slice", b.op("Shape", x), b.const([2], np.int64), b.const([4], np.int64)))
    exact = b.op("Cast", b.op("Floor", b.op("Mul", b.op("Cast", sides, to=FLOAT), b.const(2.0))), to=INT64)
    halves = b.op("Div", b.op("Add", doubled, exact), b.const(2, np.int64))
    sizes = b.op("Concat", b.const([1, CHANNELS], np.int64), halves, axis=0)
    nearest: dict[str, Any] = {
        "mode": "nearest",
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    return b.op("Resize", made, "", "", sizes, **nearest)


@block
def grid_computed_from_the_shape(b: Builder, x: str) -> str:
    """Coordinates as further channels, made by Range from the shape."""
    side = b.op("Gather", b.op("Shape", x), b.const(3, np.int64))
    steps = b.op("Cast", b.op("Range", b.const(0, np.int64), side, b.const(1, np.int64)), to=FLOAT)
    wide = b.op("Expand", b.op("Unsqueeze", steps, b.const([0, 1, 2], np.int64)), b.const([1, 1, SIDE, 1], np.int64))
    return b.op("Relu", b.conv(b.op("Concat", x, wide, axis=1), CHANNELS, CHANNELS + 1))


@block
def channels_last(b: Builder, x: str) -> str:
    """As tf2onnx leaves it: every convolution between two transpositions, sums and activations on NHWC."""
    for _ in range(2):
        made = b.op("Transpose", b.op("Conv", x, b.learned(CHANNELS, CHANNELS, 3, 3), pads=[1] * 4), perm=[0, 2, 3, 1])
        biased = b.op("Relu", b.op("Add", made, b.const(b.rng.normal(0, 0.3, CHANNELS))))
        x = b.op("Transpose", biased, perm=[0, 3, 1, 2])
    return x


@block
def names_that_collide(b: Builder, x: str) -> str:
    """A graph that has the names a writer would like to give."""
    source = b.conv(x, CHANNELS, CHANNELS)
    for suffix in ("scale", "zero_point", "quantized", "dequantized"):
        b.const(b.rng.uniform(0.5, 1, (CHANNELS, 1, 1)), name=f"{source}_{suffix}")
    scaled = b.op("Mul", source, f"{source}_scale")
    for suffix in ("zero_point", "quantized", "dequantized"):
        scaled = b.op("Add", scaled, f"{source}_{suffix}")
    return b.op("Relu", scaled)


@block
def dead_channels(b: Builder, x: str) -> str:
    weight = b.learned(CHANNELS, CHANNELS, 1, 1)
    b.constants[weight][::2] = 0
    return b.op("Relu", b.op("Conv", x, weight, b.const(b.rng.normal(0, 0.3, CHANNELS))))
