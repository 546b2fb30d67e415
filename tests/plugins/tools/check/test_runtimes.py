"""What the rules say of a graph is what ONNX Runtime and OpenVINO do with it, on both sides of the line."""

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from onnx import helper, numpy_helper
from onnxruntime.capi._pybind_state import get_all_operator_schema

from qcore_plugins.runtimes.openvino.rules import CONTRIBUTED, MISSING
from qcore_plugins.tools.check import checking

ONNXRUNTIME, OPENVINO = "onnxruntime", "openvino"
FLOAT = onnx.TensorProto.FLOAT
PICTURE, ROWS = (1, 4, 9, 9), (4, 8)
BLOCKS = np.full((4, 2, 3, 3), 0.02)
WRONG, REFUSED, IN_FLOAT, RIGHT = "wrong", "refused", "in float", "right"
LEVELS = onnxruntime.GraphOptimizationLevel
U8, I8, U16, I16, U4, I4 = np.uint8, np.int8, np.uint16, np.int16, ml_dtypes.uint4, ml_dtypes.int4
F8 = ml_dtypes.float8_e4m3fn


class Net:
    """A graph of Q/DQ with weights within +-50, which no CPU adds up wrongly, and the input that it is run with."""

    def __init__(self, graph, shape, opset=13):
        self.g, self.shape, self.opset = graph(U8, 128), shape, opset
        self.functions = []
        self.input = np.random.default_rng(7).uniform(-2, 3, shape).astype(np.float32)

    def activation(self, name, scale=0.03, point=128, kind=U8, **attributes):
        return self.g.quantized(name, scale, point, kind, **attributes)

    def weight(self, shape, axis=None, kind=I8, scales=None, **attributes):
        """Behind a DQ: scales that differ by tens along an axis, or one."""
        values = (
            self.g.rng.integers(-50, 51, shape) if np.dtype(kind).itemsize == 1 else self.g.rng.integers(-7, 8, shape)
        )
        if kind in (U4, I4):
            values = values % 8
        if scales is None:
            scales = np.float32(0.01) if axis is None else np.geomspace(0.001, 0.03, shape[axis]).astype(np.float32)
        scales = np.asarray(scales, np.float32)
        names = [
            self.g.store("w", values.astype(kind)),
            self.g.store("ws", scales),
            self.g.store("wz", np.zeros(scales.shape, kind)),
        ]
        return self.g.node("DequantizeLinear", names, "wd", **({} if axis is None else {"axis": axis}), **attributes)

    def bias(self, steps, shape=(4,), kind=np.int32, point=0):
        names = [
            self.g.store("b", self.g.rng.integers(-9000, 9000, shape).astype(kind)),
            self.g.store("bs", np.float32(steps)),
            self.g.store("bz", np.asarray(point, kind)),
        ]
        return self.g.node("DequantizeLinear", names, "bd")

    def end(self, name, scale=0.1, point=128, kind=U8):
        """Quantized once more; `scale` None leaves it float."""
        self.g.node("Identity", [name if scale is None else self.g.quantized(name, scale, point, kind)], "out")
        return self

    def model(self):
        nodes, stored = self.g.nodes, self.g.stored
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", FLOAT, self.shape)],
            [helper.make_tensor_value_info("out", FLOAT, None)],
            [numpy_helper.from_array(value, name) for name, value in stored.items()],
        )
        sets = [helper.make_opsetid(*one) for one in (("", self.opset), ("com.microsoft", 1), ("own", 1))]
        return helper.make_model(graph, opset_imports=sets, ir_version=10, functions=self.functions)


def conv(graph, axis=0, point=128, kind=U8, opset=13, scale=0.03, weights=I8):
    net = Net(graph, PICTURE, opset)
    x = net.activation("x", scale, point, kind)
    return net, net.g.node("Conv", [x, net.weight((4, 4, 3, 3), axis, weights)], "c", pads=[1] * 4)


def ended_conv(graph, end=0.1, **settings):
    net, y = conv(graph, **settings)
    kind = settings.get("kind", U8) if settings.get("kind") in (F8, U4) else U8
    return net.end(y, end, settings.get("point", 128), kind)


def matmul(graph, axis, op="MatMul", shape=ROWS, size=(8, 8), scale=0.2, opset=13, kind=I8, block=None, **attributes):
    net = Net(graph, shape, opset)
    scales, more = None, {}
    if block:
        scales, more = np.full((size[0] // block, size[1]), 0.01), {"block_size": block}
    weight = net.weight(size, axis, kind, scales, **more)
    return net.end(net.g.node(op, [net.activation("x"), weight], "c", **attributes), scale)


def behind_transpose(graph, axis):
    net = Net(graph, ROWS)
    turned = net.g.node("Transpose", [net.weight((8, 8), axis)], "wt", perm=[1, 0])
    return net.end(net.g.node("MatMul", [net.activation("x"), turned], "c"), 0.2)


def on_the_left(graph, axis):
    net = Net(graph, (8, 5))
    return net.end(net.g.node("MatMul", [net.weight((8, 8), axis), net.activation("x")], "c"), 0.2)


def weights_alone(graph, axis):
    net = Net(graph, ROWS)
    return net.end(net.g.node("MatMul", ["x", net.weight((8, 8), axis)], "c"), 0.2)


def gemm_bias(graph, factor, shape=(4,), point=0, relu=None, **attributes):
    net = Net(graph, ROWS)
    given = [net.activation("x"), net.weight((8, 4)), net.bias(3e-4 * factor, shape, point=point)]
    y = net.g.node("Gemm", given, "c", **attributes)
    return net.end(net.g.node("Relu", [y], "r") if relu is not None else y, 0.1, 128 if relu is None else relu)


def added_bias(graph, factor, shape=(4,)):
    net = Net(graph, ROWS)
    y = net.g.node("MatMul", [net.activation("x"), net.weight((8, 4))], "c")
    return net.end(net.g.node("Add", [y, net.bias(3e-4 * factor, shape)], "sum"))


def conv_bias(graph, factor, kind=np.int32, steps=3e-4):
    net = Net(graph, PICTURE)
    given = [net.activation("x"), net.weight((4, 4, 1, 1)), net.bias(steps * factor, kind=kind)]
    return net.end(net.g.node("Conv", given, "c"))


def limited(graph, op="Relu", point=0, scale=0.05, ends=(0.0, 6.0), kind=U8, opset=13, given=U8):
    net, y = conv(graph, None, opset=opset, kind=given, point=128 if given == U8 else 32768)
    more = [net.g.store(f"end{place}", np.float32(value)) for place, value in enumerate(ends)] if op == "Clip" else []
    return net.end(net.g.node(op, [y, *more], "r") if op else y, scale, point, kind)


def powered(graph, exponent=2.0, op="Pow", point=0):
    """A Q at the end of its range behind a power of a signed value, as in the decode of YOLOv5's boxes."""
    net, y = conv(graph, None, opset=21, kind=U16, point=32768)
    y = net.g.node(op, [y, y if op == "Mul" else net.g.store("exponent", np.float32(exponent))], "p")
    halved = net.g.node("Div", [y, net.g.store("two", np.float32(2))], "h")
    return net.end(halved, 5e-3, point, U16)


def integer(graph, op, size, scales, shape=None):
    """QLinearConv or QLinearMatMul between Q and DQ; `scales` are so many, in a vector, or one scalar if 0."""
    net = Net(graph, shape or (PICTURE if op == "QLinearConv" else ROWS))
    g = net.g
    given = [g.store("xs", np.float32(0.03)), g.store("xz", np.uint8(128))]
    steps = np.geomspace(0.001, 0.03, scales or 1).astype(np.float32).reshape((scales,) if scales else ())
    weight = g.store("w", g.rng.integers(-50, 51, size).astype(I8))
    read = [g.node("QuantizeLinear", ["x", *given], "q"), *given, weight]
    read += [g.store("ws", steps), g.store("wz", np.zeros(steps.shape, I8))]
    result = [g.store("ys", np.float32(0.2)), g.store("yz", np.uint8(128))]
    more = {"pads": [1] * 4} if op == "QLinearConv" else {}
    g.node("DequantizeLinear", [g.node(op, read + result, "y", **more), *result], "out")
    return net


def second_reader(graph, op):
    net, y = conv(graph)
    net.g.node("Add", [net.g.quantized(y), net.g.node(op, [y], "s")], "out")
    return net


def reshaped(graph):
    net = Net(graph, PICTURE)
    flat = net.weight((4, 36), 0)
    weight = net.g.node("Reshape", [flat, net.g.store("form", np.array([4, 4, 3, 3]))], "wr")
    return net.end(net.g.node("Conv", [net.activation("x"), weight], "c"))


def turned(graph, where):
    """Weights stored the other way round, turned before or behind what quantizes them."""
    net = Net(graph, PICTURE)
    g, perm = net.g, [3, 2, 0, 1]
    scales, zeros = g.store("ws", np.full(4, 0.01, np.float32)), g.store("wz", np.zeros(4, I8))
    stored = g.rng.integers(-50, 51, (3, 3, 4, 4))
    if where == "behind stored integers":
        weight = g.node("DequantizeLinear", [g.store("w", stored.astype(I8)), scales, zeros], "wd", axis=3)
        weight = g.node("Transpose", [weight], "wt", perm=perm)
    elif where == "before the DQ":
        weight = g.node("Transpose", [g.store("w", stored.astype(I8))], "wt", perm=perm)
        weight = g.node("DequantizeLinear", [weight, scales, zeros], "wd", axis=0)
    else:
        name = g.store("w", (stored * 0.01).astype(np.float32))
        weight = g.node("QuantizeLinear", [name, scales, zeros], "wq", axis=3)
        weight = g.node("DequantizeLinear", [weight, scales, zeros], "wd", axis=3)
        weight = g.node("Transpose", [weight], "wt", perm=perm)
    return net.end(g.node("Conv", [net.activation("x"), weight], "c"))


def pool(graph, point=128, count=1, kind=U8, pads=1, end=0.03, pad=None, between=None, **attributes):
    net = Net(graph, PICTURE)
    y = net.activation("x", point=point, kind=kind)
    if between:
        y = net.g.node(between, [y], "between", **({"kernel_shape": [2, 2]} if between == "MaxPool" else {}))
    if pad is not None:
        given = [net.g.store("sides", np.array([0, 0, 1, 1] * 2)), net.g.store("value", np.float32(pad))]
        y = net.g.node("Pad", [y, *given], "padded")
    more = {"kernel_shape": [3, 3], "count_include_pad": count, **({"pads": [pads] * 4} if pads else {}), **attributes}
    return net.end(net.g.node("AveragePool", [y], "c", **more), end, point, kind)


def between(graph, op, kind=U8, per_channel=False, opset=21, end=0.03, **attributes):
    """An operator between Q/DQ of a type, or with a scale for each channel."""
    net = Net(graph, ROWS if op in ("MatMul", "Gemm") else PICTURE, opset)
    point = {U8: 128, U4: 8, U16: 32768}.get(kind, 0)
    many = {"axis": 1} if per_channel else {}
    size = net.shape[1] if per_channel else ()
    settings = {"scale": np.full(size, 0.3 if kind == U4 else 0.03), "point": np.full(size, point), "kind": kind}
    given = [net.activation("x", **settings, **many)]
    if op in ("Add", "Concat"):
        given.append(net.activation(net.g.node("Sigmoid", ["x"], "s"), **settings, **many))
    if op in ("MatMul", "Gemm"):
        given.append(net.weight((8, 8)))
    y = net.g.node(op, given, "c", **attributes)
    if end is None:
        return net.end(y, None)
    net.g.node("Identity", [net.activation(y, **settings)], "out")
    return net


def before_odd(graph, op, kind, point):
    """A Relu or Clip in front of a Q of an odd type, behind what becomes no integer operator."""
    net = Net(graph, PICTURE, 21)
    y = net.g.node("Sub", ["x", net.g.node("Sigmoid", ["x"], "s")], "d")
    ends = [net.g.store("low", np.float32(0)), net.g.store("high", np.float32(6))] if op == "Clip" else []
    return net.end(net.g.node(op, [y, *ends], "r"), 0.2, point, kind)


def structure(graph, scales=(0.02,) * 4, points=None, axis=0, opset=13, kind=I8, **attributes):
    """A convolution of eight channels whose weights have these scales and zero points."""
    net = Net(graph, PICTURE, opset)
    values = np.asarray(scales, np.float32)
    given = [
        net.g.store("w", net.g.rng.integers(-50, 51, (4, 4, 3, 3)).astype(I8)),
        net.g.store("ws", values),
        net.g.store("wz", np.zeros(values.shape, kind) if points is None else np.asarray(points, kind)),
    ]
    more = {} if axis is None else {"axis": axis}
    weight = net.g.node("DequantizeLinear", given, "wd", **more, **attributes)
    return net.end(net.g.node("Conv", [net.activation("x"), weight], "c"), 0.2)


def typed(graph, kind, opset, domain=""):
    net = Net(graph, PICTURE, opset)
    net.end(net.activation("x", 0.0002 if np.dtype(kind).itemsize > 1 else 0.3, 0, kind, domain=domain), None)
    return net


def halves(graph, opset):
    net = Net(graph, PICTURE, opset)
    net.g.real = np.float16
    y = net.activation(net.g.node("Cast", ["x"], "x16", to=onnx.TensorProto.FLOAT16))
    return net.end(net.g.node("Cast", [y], "y", to=FLOAT), None)


def in_a_body(graph, axis):
    """The MatMul in a branch of an If."""
    inner = matmul(graph, axis)
    body = inner.model().graph
    outputs = [helper.make_tensor_value_info("out", FLOAT, None)]
    then = helper.make_graph(body.node, "then", [], outputs, body.initializer)
    other = helper.make_graph([helper.make_node("Identity", ["x"], ["out"])], "else", [], outputs)
    net = Net(graph, ROWS)
    net.g.store("yes", np.array(True))
    net.g.node("If", ["yes"], "out", then_branch=then, else_branch=other)
    return net


def in_a_function(graph, axis):
    """The MatMul with its weights as a function of the file's own."""
    net = matmul(graph, axis)
    model = net.model()
    inner = [one for one in model.graph.node if one.name in ("x_dequantized", "wd", "c")]
    names = ["x_quantized", "x_scale", "x_zero_point", "w", "ws", "wz"]
    function = helper.make_function("own", "Product", names, ["c"], inner, [helper.make_opsetid("", 13)])
    net.g.nodes = [one for one in net.g.nodes if one.name not in ("x_dequantized", "wd", "c")]
    net.g.nodes.insert(1, helper.make_node("Product", names, ["c"], "product", domain="own"))
    net.functions.append(function)
    return net


def node(graph, op, inputs=1, domain="com.microsoft", **attributes):
    net = Net(graph, PICTURE)
    net.g.node(op, ["x"] * inputs, "out", domain=domain, **attributes)
    return net


def of(make, *arguments, **settings):
    """The function with what comes after the graph."""

    def made(graph):
        return make(graph, *arguments, **settings)

    said = [getattr(value, "__name__", value) for value in (*arguments, *settings.values())]
    made.__name__ = "-".join([make.__name__, *(str(value) for value in said if np.size(value) < 9)])
    return made


CASES = [
    # MatMul and Gemm: QDQ009
    *(
        (target, make, truth, rule)
        for target in (ONNXRUNTIME, OPENVINO)
        for make, truth, rule in [
            (of(matmul, axis=1), RIGHT, None),
            (of(matmul, axis=-1), RIGHT, None),
            (of(matmul, axis=0), WRONG, "QDQ009"),
            (of(matmul, axis=-2, scale=None), WRONG, "QDQ009"),
            (of(matmul, axis=1, op="Gemm"), RIGHT, None),
            (of(matmul, axis=0, op="Gemm"), WRONG, "QDQ009"),
            (of(matmul, axis=0, op="Gemm", alpha=2.0), WRONG, "QDQ009"),
            (of(matmul, axis=0, op="Gemm", transB=1), RIGHT, None),
            (of(matmul, axis=1, op="Gemm", transB=1), WRONG, "QDQ009"),
            (of(behind_transpose, axis=0), RIGHT, None),
            (of(behind_transpose, axis=1), WRONG, "QDQ009"),
            (of(on_the_left, axis=0), RIGHT, None),
            (of(on_the_left, axis=1), RIGHT, None),
            (of(in_a_body, axis=1), RIGHT, None),
            (of(in_a_body, axis=0), WRONG, "QDQ009"),
        ]
    ),
    (ONNXRUNTIME, of(matmul, axis=0, size=(8, 5)), REFUSED, "QDQ009"),
    (OPENVINO, of(matmul, axis=0, size=(8, 5)), WRONG, "QDQ009"),
    (ONNXRUNTIME, of(weights_alone, axis=0), RIGHT, None),
    (OPENVINO, of(weights_alone, axis=0), WRONG, "QDQ009"),
    (OPENVINO, of(matmul, axis=0, shape=(2, 4, 8)), RIGHT, None),
    (OPENVINO, of(matmul, axis=0, shape=(1, 4, 8)), WRONG, "QDQ009"),
    (ONNXRUNTIME, of(in_a_function, axis=1), RIGHT, None),
    (ONNXRUNTIME, of(in_a_function, axis=0), WRONG, "QDQ009"),
    # biases: ORT005, ORT001
    (ONNXRUNTIME, of(gemm_bias, factor=1), RIGHT, None),
    (ONNXRUNTIME, of(gemm_bias, factor=4), WRONG, "ORT005"),
    (ONNXRUNTIME, of(gemm_bias, factor=0.25, shape=(1, 4)), WRONG, "ORT005"),
    (ONNXRUNTIME, of(gemm_bias, factor=4, shape=()), WRONG, "ORT005"),
    (ONNXRUNTIME, of(gemm_bias, factor=1, point=5000), WRONG, "ORT005"),
    (ONNXRUNTIME, of(gemm_bias, factor=4, beta=0.5), RIGHT, None),
    (ONNXRUNTIME, of(gemm_bias, factor=4, alpha=2.0), RIGHT, None),
    (ONNXRUNTIME, of(gemm_bias, factor=4, relu=128), RIGHT, None),
    (ONNXRUNTIME, of(gemm_bias, factor=4, relu=0), WRONG, "ORT005"),
    (ONNXRUNTIME, of(added_bias, factor=1), RIGHT, None),
    (ONNXRUNTIME, of(added_bias, factor=4), WRONG, "ORT005"),
    (ONNXRUNTIME, of(added_bias, factor=4, shape=()), RIGHT, None),
    (OPENVINO, of(gemm_bias, factor=4), RIGHT, None),
    (ONNXRUNTIME, of(conv_bias, factor=1), RIGHT, None),
    (ONNXRUNTIME, of(conv_bias, factor=1.009), RIGHT, None),
    (ONNXRUNTIME, of(conv_bias, factor=1.02), IN_FLOAT, "ORT001"),
    (ONNXRUNTIME, of(conv_bias, factor=4), IN_FLOAT, "ORT001"),
    (ONNXRUNTIME, of(conv_bias, factor=1, kind=I8, steps=0.01), IN_FLOAT, "ORT001"),
    # what becomes part of a Q, and what else keeps a convolution float: ORT001
    (ONNXRUNTIME, limited, RIGHT, None),
    (ONNXRUNTIME, of(limited, kind=I8, point=-128), RIGHT, None),
    (ONNXRUNTIME, of(limited, kind=I8, point=0), IN_FLOAT, "ORT001"),
    (ONNXRUNTIME, of(limited, point=128), IN_FLOAT, "ORT001"),
    (ONNXRUNTIME, of(limited, point=1), IN_FLOAT, "ORT001"),
    (ONNXRUNTIME, of(limited, "Clip", scale=6 / 255), RIGHT, None),
    (ONNXRUNTIME, of(limited, "Clip", scale=5 / 255), RIGHT, None),
    (ONNXRUNTIME, of(limited, "Clip", scale=6.2 / 255), IN_FLOAT, "ORT001"),
    (ONNXRUNTIME, of(limited, "Clip", ends=(-8.0, 8.0), point=128), RIGHT, None),
    (ONNXRUNTIME, of(limited, "Clip", ends=(-8.0, 8.0), point=128, scale=0.1), IN_FLOAT, "ORT001"),
    (ONNXRUNTIME, of(limited, "Identity", point=128), RIGHT, None),
    (ONNXRUNTIME, of(limited, None, kind=U16, point=32768, opset=21), IN_FLOAT, "ORT001"),
    (ONNXRUNTIME, of(limited, None, point=128, given=U16, opset=21), IN_FLOAT, "ORT001"),
    (ONNXRUNTIME, of(second_reader, "Sigmoid"), IN_FLOAT, "ORT001"),
    (ONNXRUNTIME, reshaped, IN_FLOAT, "ORT001"),
    (ONNXRUNTIME, of(turned, "behind stored integers"), RIGHT, None),
    # 16 bits on OpenVINO: OV004
    (OPENVINO, of(limited, None, kind=U16, point=0, scale=1e-4, opset=21), WRONG, "OV004"),
    (OPENVINO, of(limited, None, kind=I16, point=-32768, scale=1e-4, opset=21), WRONG, "OV004"),
    (OPENVINO, of(limited, None, kind=U16, point=65535, scale=1e-4, opset=21), WRONG, "OV004"),
    (OPENVINO, of(limited, "Relu", kind=U16, point=0, scale=2e-4, opset=21), RIGHT, None),
    (OPENVINO, of(limited, "Clip", kind=U16, point=0, scale=1e-4, opset=21), RIGHT, None),
    (OPENVINO, of(limited, None, kind=U16, point=32768, scale=4e-4, opset=21), RIGHT, None),
    (OPENVINO, of(limited, None, point=0), RIGHT, None),
    (OPENVINO, powered, RIGHT, None),
    (OPENVINO, of(powered, op="Mul"), RIGHT, None),
    (OPENVINO, of(powered, 3.0), WRONG, "OV004"),
    # average pools: OV005, ORT008
    (OPENVINO, pool, WRONG, "OV005"),
    (OPENVINO, of(pool, point=30, end=None), WRONG, "OV005"),
    (OPENVINO, of(pool, kind=I8, point=-128), WRONG, "OV005"),
    (OPENVINO, of(pool, pads=0, auto_pad="SAME_UPPER"), WRONG, "OV005"),
    (OPENVINO, of(pool, between="MaxPool"), WRONG, "OV005"),
    (OPENVINO, of(pool, pads=0, pad=0.0, count=0), WRONG, "OV005"),
    (OPENVINO, of(pool, pads=0, pad=1.0, count=0), RIGHT, None),
    (OPENVINO, of(pool, between="Relu"), RIGHT, None),
    (OPENVINO, of(pool, point=0), RIGHT, None),
    (OPENVINO, of(pool, count=0), RIGHT, None),
    (OPENVINO, of(pool, pads=0), RIGHT, None),
    (ONNXRUNTIME, pool, RIGHT, None),
    (ONNXRUNTIME, of(pool, pads=0, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1), WRONG, "ORT008"),
    (ONNXRUNTIME, of(pool, pads=0, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), RIGHT, None),
    (ONNXRUNTIME, of(pool, pads=0, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1, end=None), RIGHT, None),
    (ONNXRUNTIME, of(pool, pads=0, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1, count=0), RIGHT, None),
    # types and scales that integer operators do not take: ORT006, ORT007
    *(
        (ONNXRUNTIME, of(between, op, **settings), truth, rule)
        for op, settings, truth, rule in [
            ("Sigmoid", {"kind": F8}, REFUSED, "ORT006"),
            ("Add", {"kind": F8}, REFUSED, "ORT006"),
            ("Concat", {"kind": F8, "axis": 1}, REFUSED, "ORT006"),
            ("MaxPool", {"kind": F8, "kernel_shape": [2, 2]}, REFUSED, "ORT006"),
            ("MaxPool", {"kind": U4, "kernel_shape": [2, 2]}, REFUSED, "ORT006"),
            ("Gemm", {"kind": F8, "end": None}, REFUSED, "ORT006"),
            ("Transpose", {"kind": F8}, RIGHT, None),
            ("Add", {"kind": U4}, RIGHT, None),
            ("MatMul", {"per_channel": True}, REFUSED, "ORT006"),
            ("MatMul", {"per_channel": True, "end": None}, REFUSED, "ORT006"),
            ("Gemm", {"per_channel": True}, RIGHT, None),
            ("Sigmoid", {"per_channel": True}, REFUSED, "ORT006"),
            ("MaxPool", {"per_channel": True, "kernel_shape": [2, 2]}, RIGHT, None),
        ]
    ),
    (ONNXRUNTIME, of(ended_conv, kind=F8, point=0, opset=21), REFUSED, "ORT006"),
    (ONNXRUNTIME, of(ended_conv, kind=U4, point=8, opset=21, scale=0.3, end=1.0), REFUSED, "ORT006"),
    (ONNXRUNTIME, of(ended_conv, weights=I4, opset=21), IN_FLOAT, "ORT001"),
    (ONNXRUNTIME, of(structure, BLOCKS, axis=1, opset=21, block_size=2), REFUSED, "ORT006"),
    (OPENVINO, of(structure, BLOCKS, axis=1, opset=21, block_size=2), RIGHT, None),
    (ONNXRUNTIME, of(matmul, axis=0, block=4, opset=21), REFUSED, "ORT006"),
    (ONNXRUNTIME, of(matmul, axis=0, block=4, opset=21, op="Gemm"), RIGHT, None),
    (ONNXRUNTIME, of(matmul, axis=0, block=4, opset=21, kind=I4), RIGHT, None),
    (OPENVINO, of(matmul, axis=0, block=4, opset=21, kind=I4), RIGHT, None),
    (ONNXRUNTIME, of(matmul, axis=2, size=(2, 8, 8), shape=(2, 4, 8)), REFUSED, "ORT006"),
    (OPENVINO, of(matmul, axis=2, size=(2, 8, 8), shape=(2, 4, 8)), RIGHT, None),
    (ONNXRUNTIME, of(before_odd, "Relu", F8, 0), WRONG, "ORT007"),
    (ONNXRUNTIME, of(before_odd, "Relu", U4, 8), WRONG, "ORT007"),
    (ONNXRUNTIME, of(before_odd, "Relu", U4, 0), RIGHT, None),
    (ONNXRUNTIME, of(before_odd, "Relu", I4, -8), RIGHT, None),
    (ONNXRUNTIME, of(before_odd, "Clip", U4, 0), REFUSED, "ORT007"),
    (OPENVINO, of(before_odd, "Relu", U4, 8), RIGHT, None),
    # number, rank and axis of scales: QDQ007
    *(
        (target, of(structure, **settings), truth, rule)
        for target in (ONNXRUNTIME, OPENVINO)
        for settings, truth, rule in [
            ({}, RIGHT, None),
            ({"axis": -4}, RIGHT, None),
            ({"scales": 0.02, "axis": None}, RIGHT, None),
            ({"scales": [0.02], "points": 0, "axis": None}, RIGHT, None),
            ({"scales": (0.02,) * 3}, REFUSED, "QDQ007"),
            ({"scales": np.full((4, 1, 1, 1), 0.02)}, REFUSED, "QDQ007"),
            ({"scales": [[0.02]], "axis": None}, REFUSED, "QDQ007"),
            ({"scales": np.full((4, 3, 3, 3), 0.02), "axis": 1, "opset": 21, "block_size": 2}, REFUSED, "QDQ007"),
        ]
    ),
    (OPENVINO, of(structure, axis=5), REFUSED, "QDQ007"),
    (OPENVINO, of(structure, points=[0]), REFUSED, "QDQ007"),
    (ONNXRUNTIME, of(structure, kind=U8), REFUSED, "QDQ007"),
    (OPENVINO, of(structure, BLOCKS, axis=1, opset=21, block_size=3), REFUSED, "QDQ007"),
    # opsets: QDQ008
    *(
        (ONNXRUNTIME, of(typed, kind, opset), truth, rule)
        for kind, opset, truth, rule in [
            (U16, 20, REFUSED, "QDQ008"),
            (I16, 13, REFUSED, "QDQ008"),
            (I16, 21, RIGHT, None),
            (I4, 20, REFUSED, "QDQ008"),
            (F8, 18, REFUSED, "QDQ008"),
            (F8, 19, RIGHT, None),
            (I8, 10, RIGHT, None),
        ]
    ),
    (ONNXRUNTIME, of(typed, U16, 13, "com.microsoft"), RIGHT, None),
    (OPENVINO, of(typed, U16, 13), RIGHT, None),
    (ONNXRUNTIME, of(halves, 18), REFUSED, "QDQ008"),
    (ONNXRUNTIME, of(halves, 19), RIGHT, None),
    (OPENVINO, of(structure, axis=None, opset=12), REFUSED, "QDQ008"),
    (OPENVINO, of(structure, scales=0.02, axis=None, opset=12), RIGHT, None),
    # 4 bits on OpenVINO: OV007
    (OPENVINO, of(between, "MatMul", U4, end=None), WRONG, "OV007"),
    (OPENVINO, of(between, "MatMul", I4, end=None), RIGHT, None),
    # scales of integer operators: OV008
    (OPENVINO, of(integer, "QLinearConv", (4, 4, 3, 3), 4), WRONG, "OV008"),
    (OPENVINO, of(integer, "QLinearConv", (6, 4, 3, 3), 6), REFUSED, "OV008"),
    (OPENVINO, of(integer, "QLinearConv", (1, 4, 3, 3), 1), REFUSED, "OV008"),
    (OPENVINO, of(integer, "QLinearConv", (1, 1, 3, 3), 1, (1, 1, 9, 9)), RIGHT, None),
    (OPENVINO, of(integer, "QLinearConv", (4, 4, 3, 3), 0), RIGHT, None),
    (ONNXRUNTIME, of(integer, "QLinearConv", (4, 4, 3, 3), 4), RIGHT, None),
    (OPENVINO, of(integer, "QLinearMatMul", (8, 8), 8), REFUSED, "OV008"),
    (OPENVINO, of(integer, "QLinearMatMul", (8, 8), 1), RIGHT, None),
    (OPENVINO, of(integer, "QLinearMatMul", (8, 8), 0), RIGHT, None),
    # operators by name: OV002
    (OPENVINO, of(node, "QuickGelu", alpha=1.0), RIGHT, None),
    (OPENVINO, of(node, "NhwcMaxPool", kernel_shape=[2, 2]), REFUSED, "OV002"),
    (OPENVINO, of(node, "Inverse"), REFUSED, "OV002"),
    (OPENVINO, of(node, "Det", domain=""), REFUSED, "OV002"),
    (OPENVINO, of(in_a_function, axis=1), REFUSED, "OV002"),
]  # fmt: skip

JUDGED = {rule for _, _, _, rule in CASES if rule} | {"ORT003", "OV006"}


def on_onnxruntime(model, given, level):
    """The result, and the operators that were run; the message of a refusal instead."""
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level, settings.log_severity_level = level, 4
    settings.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
        return session.run(None, {"x": given})[0]
    except Exception as error:  # noqa: BLE001 - the runtime's own errors have no common class
        return str(error)


def operators(model, path):
    """What ONNX Runtime's optimizer makes of a model."""
    settings = onnxruntime.SessionOptions()
    settings.optimized_model_filepath, settings.log_severity_level = str(path), 4
    onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    return {node.op_type for node in onnx.load(path).graph.node}


def compiled(model):
    core = openvino.Core()
    return core.compile_model(core.read_model(model, b""), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def on_openvino(model, given):
    try:
        return next(iter(compiled(model)({"x": given}).values()))
    except Exception as error:  # noqa: BLE001 - see above
        return str(error)


def truth(net, target, path):
    """What a runtime does with a net, beside ONNX Runtime without its optimizations."""
    model = net.model().SerializeToString()
    right = on_onnxruntime(model, net.input, LEVELS.ORT_DISABLE_ALL)
    if target == OPENVINO:
        found = on_openvino(model, net.input)
    else:
        found = on_onnxruntime(model, net.input, LEVELS.ORT_ENABLE_ALL)
    if isinstance(found, str):
        return REFUSED
    if not isinstance(right, str) and np.abs(found - right).mean() > 0.01 * np.abs(right).mean():
        return WRONG
    if target == ONNXRUNTIME and operators(model, path) & {"Conv", "FusedConv"}:
        return IN_FLOAT
    return RIGHT


@pytest.fixture
def findings(graph, host, tmp_path):
    """Net and target -> rule and severity of what the rules of this page say."""

    def ask(net, target):
        path = tmp_path / "model.onnx"
        onnx.save(net.model(), path)
        report = checking.check(path, target, plugins=host)
        return {(one.rule, one.severity) for one in report.findings if one.rule in JUDGED and one.severity != "info"}

    return ask


def named(case):
    target, make, told, rule = case
    return f"{rule or 'nothing'}-{target}-{make.__name__}-{told}"


@pytest.mark.parametrize("case", CASES, ids=named)
def test_what_is_said_is_what_the_runtime_does(graph, findings, tmp_path, case):
    target, make, told, rule = case
    assert truth(make(graph), target, tmp_path / "optimized.onnx") == told
    severity = "warning" if told == IN_FLOAT else "error"
    said = findings(make(graph), target)
    assert (rule, severity) in said if rule else not said


@pytest.mark.parametrize(
    ("where", "precision"),
    [("behind stored integers", "u8"), ("before the DQ", "f32"), ("behind float weights", "f32")],
)
def test_weights_that_a_transpose_moves_on_openvino(graph, findings, where, precision):
    net = turned(graph, where)
    operations = compiled(net.model().SerializeToString()).get_runtime_model().get_ordered_ops()
    told = [(one.get_rt_info()["layerType"].astype(str), one.get_rt_info()["runtimePrecision"]) for one in operations]
    assert [kind.astype(str) for layer, kind in told if layer == "Convolution"] == [precision]
    assert findings(net, OPENVINO) == ({("OV006", "warning")} if precision == "f32" else set())


@pytest.mark.parametrize("known", [False, True])
def test_openvino_reads_the_operators_that_are_said(graph, known):
    """By its message: what it has no rule for it calls so, the others fail on their inputs or pass."""
    schemas = [one for one in get_all_operator_schema() if one.domain == "com.microsoft"]
    names = {(one.name, "com.microsoft"): max(one.min_input, 1) for one in schemas if one.name != "Attention"}
    chosen = [one for one in names if (one[0] in CONTRIBUTED) == known]
    if not known:
        names |= {(one.name, ""): max(one.min_input, 1) for one in onnx.defs.get_all_schemas() if one.domain == ""}
        chosen += [(name, "") for name in MISSING]
    for name, domain in chosen:
        model = node(graph, name, names[name, domain], domain).model().SerializeToString()
        said = on_openvino(model, np.zeros(PICTURE, np.float32))
        assert (isinstance(said, str) and "No conversion rule found" in said) != known, (domain, name)


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
def test_scales_that_cannot_be_used_do_not_trip_a_rule(graph, host, tmp_path, value):
    path = tmp_path / "model.onnx"
    for target, make, _, _ in CASES[::6]:
        net = make(graph)
        for name, stored in net.g.stored.items():
            if name.endswith(("_scale", "ws", "bs")):
                net.g.stored[name] = np.full_like(stored, value)
        onnx.save(net.model(), path)
        rules = {one.rule for one in checking.check(path, target, plugins=host).findings}
        kinds = {node.op_type for node in net.g.nodes}
        assert "QDQ002" in rules or "QuantizeLinear" not in kinds or kinds & {"QLinearConv", "QLinearMatMul"}
