"""Every rule finds what was planted, and is silent on the same graph without it."""

import json
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from tests.plugins.tools.check.test_runtimes import JUDGED as RUN

from qcore.plugin import KEY, FileError, UsageError
from qcore_plugins.tools.check import checking
from qcore_plugins.tools.check.rules.contract import RULES as CONTRACT_RULES

TENSORRT, OPENVINO, ONNXRUNTIME = "tensorrt", "openvino", "onnxruntime"
FLOAT16, FLOAT = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT


@pytest.fixture
def found(host, tmp_path):
    """Model and target -> findings; by rule where one is named."""

    def ask(model, target, rule=None):
        path = tmp_path / "model.onnx"
        onnx.save(model, path)
        report = checking.check(path, target, plugins=host, cpu="vnni")  # what it says of others is tested apart
        return [one for one in report.findings if rule in (None, one.rule)]

    return ask


@dataclass
class Case:
    """One rule: makes the model with the fault, or without it."""

    rule: str
    target: str
    make: object
    severity: str
    where: str


CASES = []


def case(rule, target, severity, where):
    """Register a function (graph class, whether the fault is in) -> model."""

    def add(make):
        CASES.append(pytest.param(Case(rule, target, make, severity, where), id=f"{rule}-{make.__name__}"))
        return make

    return add


def half_way(graph, **settings):
    """A float16 body behind a cast, as TensorRT has it; gives the graph and its input."""
    made = graph(half=True, **settings)
    return made, made.node("Cast", ["x"], "x16", to=FLOAT16)


def finished(g, x, channels=(8, 8)):
    """A last convolution on integers and a decode in float32."""
    y = g.conv(g.quantized(x, suffix="_last"), "last", channels)
    g.decode(g.node("Cast", [y], "y32", to=FLOAT) if g.real == np.float16 else y)
    return g.model()


# scales


@case("QDQ001", TENSORRT, "error", "q")
def computed_scale(graph, fault):
    g, x = half_way(graph)
    if not fault:
        return finished(g, g.conv(g.quantized(x), "c"))
    largest = g.node("ReduceMax", [g.node("Abs", [x], "size")], "largest", keepdims=0)
    scale = g.node("Div", [largest, g.store("steps", np.float16(127))], "scale")
    point = g.store("point", np.int8(0))
    q = g.node("QuantizeLinear", [x, scale, point], "q")
    return finished(g, g.conv(g.node("DequantizeLinear", [q, scale, point], "dq"), "c"))


@case("QDQ001", OPENVINO, "warning", "q")
def scale_from_constants(graph, fault):
    g = graph(np.uint8, 128)
    scale = g.store("stored", np.float32(0.02))
    if fault:
        scale = g.node("Div", [g.store("range", np.float32(2)), g.store("steps", np.float32(127))], "scale")
    point = g.store("point", np.uint8(128))
    q = g.node("QuantizeLinear", ["x", scale, point], "q")
    return finished(g, g.conv(g.node("DequantizeLinear", [q, scale, point], "dq"), "c"))


@pytest.mark.parametrize("value", [0.0, -0.1, np.nan, np.inf])
def test_scales_that_cannot_be_used_are_errors(graph, found, value):
    g = graph(np.uint8, 128)
    g.quantized("x", value)
    model = finished(g, g.conv("x_dequantized", "c"))
    for target in (TENSORRT, OPENVINO, ONNXRUNTIME):
        hits = found(model, target, "QDQ002")
        assert {one.where for one in hits} == {"x_quantized", "x_dequantized"}
        assert {one.severity for one in hits} == {"error"}
        assert "scale" in hits[0].message


@case("QDQ002", ONNXRUNTIME, "error", "c.weight_dequantized")
def channel_scale_of_zero(graph, fault):
    g = graph(np.uint8, 128)
    model = finished(g, g.conv(g.quantized("x"), "c"))
    if fault:
        stored = {tensor.name: tensor for tensor in model.graph.initializer}
        stored["c.weight_scale"].CopyFrom(
            onnx.numpy_helper.from_array(np.array([0.1, 0, 0.1, 0.1], np.float32), "c.weight_scale")
        )
    return model


@case("QDQ003", TENSORRT, "warning", "x16_quantized")
def float16_denormal(graph, fault):
    g, x = half_way(graph)
    return finished(g, g.conv(g.quantized(x, 2.0**-20 if fault else 2.0**-14), "c"))


@case("QDQ003", ONNXRUNTIME, "warning", "x_quantized")
def float32_denormal(graph, fault):
    g = graph(np.uint8, 128)
    return finished(g, g.conv(g.quantized("x", 1e-39 if fault else 1e-9), "c"))


@case("QDQ004", OPENVINO, "warning", "c_gate_quantized")
def range_of_a_sigmoid(graph, fault):
    g = graph(np.uint8, 0)
    y = g.conv(g.quantized("x"), "c")
    gate = g.quantized(g.node("Sigmoid", [y], "c_gate"), 10 / 255 if fault else 1 / 255)
    return finished(g, g.node("Mul", [g.conv("x_dequantized", "d"), gate], "product"))


@case("QDQ004", ONNXRUNTIME, "warning", "")
def one_scale_everywhere(graph, fault):
    g, y = graph(np.uint8, 128), "x"
    for place in range(9):
        y = g.conv(g.quantized(y, 1.0 if fault else 0.01 * (place + 1)), f"c{place}")
    return finished(g, y)


@case("QDQ005", OPENVINO, "error", "x_dequantized")
def two_sides(graph, fault):
    g = graph(np.uint8, 128)
    return finished(g, g.conv(g.quantized("x", 0.02, dq_scale=0.04 if fault else 0.02), "c"))


# placement


def decoded(g, y, shared_scale):
    """Boxes and scores from one convolution, joined; quantized with one scale, or not."""
    parts = g.store("parts", np.array([4, 4]))
    g.nodes.append(helper.make_node("Split", [y, parts], ["boxes", "scores"], "split", axis=1))
    pixels = g.node("Mul", ["boxes", g.store("stride", np.float32(8))], "pixels")
    joined = g.node("Concat", [pixels, g.node("Sigmoid", ["scores"], "sure")], "joined", axis=1)
    if shared_scale:
        joined = g.quantized(joined, shared_scale)
    g.node("Identity", [joined], "out")
    return g.model()


@case("QDQ010", ONNXRUNTIME, "error", "joined_quantized")
def boxes_and_scores(graph, fault):
    g = graph(np.uint8, 0)
    return decoded(g, g.conv(g.quantized("x"), "c"), 2.5 if fault else 1 / 255)


@case("QDQ011", OPENVINO, "warning", "pixels_quantized")
def quantized_decode(graph, fault):
    g = graph(np.uint8, 0)
    pixels = g.node("Mul", [g.conv(g.quantized("x"), "c"), g.store("stride", np.float32(8))], "pixels")
    g.node("Identity", [g.quantized(pixels, 2.5) if fault else pixels], "out")
    return g.model()


def test_a_quantized_last_convolution_is_no_quantized_decode(graph, found):
    g = graph(np.uint8, 128)
    y = g.quantized(g.conv(g.quantized("x"), "c"))
    flat = g.quantized(g.node("Reshape", [y, g.store("flat", np.array([1, 8, 64]))], "r"))
    g.decode(flat)
    model = g.model()
    for target in (ONNXRUNTIME, OPENVINO):
        assert [one.rule for one in found(model, target) if one.severity != "info"] == []


@case("QDQ012", TENSORRT, "warning", "c_silu")
def gate_in_integers(graph, fault):
    g, x = half_way(graph)
    return finished(g, g.silu(g.conv(g.quantized(x), "c"), quantize_gate=fault))


@case("QDQ012", OPENVINO, "warning", "c_dequantized_silu")
def split_silu(graph, fault):
    g = graph(np.uint8, 128)
    y = g.conv(g.quantized("x"), "c")
    if fault:
        return finished(g, g.silu(g.quantized(y)))
    g.quantized(y)  # read by another convolution too: that one needs it, and the SiLU reads the same
    kept = g.silu(y)
    return finished(g, g.node("Add", [kept, g.conv("c_dequantized", "d")], "sum"))


def test_onnxruntime_has_silu_in_parts(graph, found):
    g = graph(np.uint8, 0)
    assert found(finished(g, g.silu(g.conv(g.quantized("x"), "c"), quantize_gate=True)), ONNXRUNTIME, "QDQ012") == []


@case("QDQ013", OPENVINO, "warning", "x_dequantized_quantized")
def back_to_back(graph, fault):
    g = graph(np.uint8, 128)
    first = g.quantized("x")
    return finished(g, g.conv(g.quantized(first, 0.05) if fault else first, "c"))


@case("QDQ014", TENSORRT, "warning", "c")
def several_scales(graph, fault):
    g, x = half_way(graph)
    y = g.conv(g.quantized(x), "c")
    one = g.conv(g.quantized(y, 0.02, suffix="_a"), "a")
    other = g.conv(g.quantized(y, 0.03 if fault else 0.02, suffix="_b"), "b")
    return finished(g, g.node("Mul", [one, other], "product"))


@case("QDQ015", ONNXRUNTIME, "info", "bn")
def batch_norm(graph, fault):
    g = graph(np.uint8, 128)
    y = g.conv(g.quantized("x"), "c")
    if fault:
        stored = [g.store(name, np.ones(8, np.float32)) for name in ("gamma", "beta", "mean", "var")]
        y = g.node("BatchNormalization", [y, *stored], "bn")
    return finished(g, y)


@case("QDQ016", OPENVINO, "warning", "b")
def float_between(graph, fault):
    g = graph(np.uint8, 128)
    y = g.conv(g.quantized("x"), "a")
    y = g.conv(y if fault else g.quantized(y), "b", real=fault)
    return finished(g, g.conv(g.quantized(y), "c"))


def test_a_float_beginning_is_nobodys_fault(graph, found):
    g = graph(np.uint8, 128)
    y = g.conv("x", "a", real=True)
    hits = found(finished(g, g.conv(g.quantized(y), "b")), OPENVINO)
    assert [one for one in hits if one.severity != "info"] == []


@case("QDQ017", TENSORRT, "warning", "c")
def float_weights(graph, fault):
    g, x = half_way(graph)
    weight = None
    if fault:
        name = g.store("c.weight", g.rng.normal(0, 0.3, (8, 8, 1, 1)).astype(np.float16))
        weight = g.quantized(name, np.full(8, 0.01), np.zeros(8), axis=0)
    return finished(g, g.conv(g.quantized(x), "c", weight=weight))


@case("QDQ018", OPENVINO, "warning", "c")
def half_quantized(graph, fault):
    g = graph(np.uint8, 128)
    return finished(g, g.conv(g.quantized("x"), "c", real=fault))


@case("QDQ019", ONNXRUNTIME, "info", "c")
def per_tensor(graph, fault):
    g = graph(np.uint8, 128)
    weight = g.weight("c", (8, 8, 1, 1), per_channel=not fault)
    return finished(g, g.conv(g.quantized("x"), "c", weight=weight))


@case("QDQ020", ONNXRUNTIME, "info", "")
def dynamically_quantized(graph, fault):
    g = graph(np.uint8, 0)
    if not fault:
        return finished(g, g.conv(g.quantized("x"), "c"))
    outputs = ["x_quantized", "x_scale", "x_zero_point"]
    g.nodes.append(helper.make_node("DynamicQuantizeLinear", ["x"], outputs, "dynamic"))
    y = g.node("ConvInteger", ["x_quantized", g.store("w", np.ones((8, 8, 1, 1), np.int8)), "x_zero_point"], "c")
    g.decode(g.node("Cast", [y], "y", to=FLOAT))
    return g.model()


@case("QDQ020", OPENVINO, "info", "")
def operators_on_integers(graph, fault):
    return integer_operator(graph, fault)


# TensorRT


@case("TRT001", TENSORRT, "error", "x16_quantized")
def unsigned(graph, fault):
    g, x = half_way(graph, **({"kind": np.uint8, "point": 128} if fault else {}))
    return finished(g, g.conv(g.quantized(x), "c"))


@case("TRT001", TENSORRT, "error", "x16_quantized")
def zero_point(graph, fault):
    g, x = half_way(graph, point=5 if fault else 0)
    return finished(g, g.conv(g.quantized(x), "c"))


@case("TRT001", TENSORRT, "error", "x16_quantized")
def unsigned_from_zero(graph, fault):
    """What the parser reads as int8."""
    g, x = half_way(graph, **({"kind": np.uint8, "point": 0} if fault else {}))
    return finished(g, g.conv(g.quantized(x), "c"))


@case("TRT002", TENSORRT, "error", "c")
def conv_axis(graph, fault):
    g, x = half_way(graph)
    weight = g.weight("c", (8, 8, 1, 1), axis=1 if fault else 0)
    return finished(g, g.conv(g.quantized(x), "c", weight=weight))


@case("TRT002", TENSORRT, "error", "c")
def transposed_conv_axis(graph, fault):
    g, x = half_way(graph)
    weight = g.weight("c", (8, 8, 3, 3), axis=2, per_channel=fault)
    return finished(g, g.conv(g.quantized(x), "c", op="ConvTranspose", weight=weight))


@case("TRT002", TENSORRT, "info", "c")
def transposed_conv_channels(graph, fault):
    """What NVIDIA says of it is not what it says of other layers, and was not measured."""
    g, x = half_way(graph)
    weight = g.weight("c", (8, 8, 1, 1), axis=1, per_channel=fault)
    return finished(g, g.conv(g.quantized(x), "c", op="ConvTranspose", weight=weight))


@case("TRT002", TENSORRT, "error", "c")
def linear_axis(graph, fault):
    g, x = half_way(graph)
    rows = g.node("Reshape", [g.quantized(x), g.store("rows", np.array([8, 32]))], "rows_of_x")
    y = g.node("Gemm", [rows, g.weight("c", (16, 32), axis=1 if fault else 0)], "c", transB=1)
    y = g.node("Gemm", [g.quantized(y), g.weight("last", (8, 16), axis=0)], "last", transB=1)
    g.decode(g.node("Cast", [y], "y32", to=FLOAT))
    return g.model()


@case("TRT002", TENSORRT, "error", "c")
def weight_zero_point(graph, fault):
    g, x = half_way(graph)
    weight = g.weight("c", (8, 8, 1, 1), point=3 if fault else 0)
    return finished(g, g.conv(g.quantized(x), "c", weight=weight))


def two_branches(graph, op, fault, **attributes):
    g, x = half_way(graph)
    one = g.conv(g.quantized(x), "a")
    other = g.conv(g.quantized(one, 0.02), "b")
    branches = [g.quantized(one, 0.02, suffix="_j"), g.quantized(other, 0.05 if fault else 0.02)]
    joined = g.node(op, branches, "joined", **attributes)
    y = g.conv(g.quantized(joined, 0.02), "last", channels=(16 if op == "Concat" else 8, 8))
    g.decode(g.node("Cast", [y], "y32", to=FLOAT))
    return g.model()


@case("TRT003", TENSORRT, "error", "joined")
def unequal_concat(graph, fault):
    return two_branches(graph, "Concat", fault, axis=1)


@case("TRT003", TENSORRT, "error", "joined")
def unequal_sum(graph, fault):
    return two_branches(graph, "Add", fault)


@case("TRT004", TENSORRT, "warning", "pool")
def unequal_pool(graph, fault):
    g, x = half_way(graph)
    pooled = g.node("MaxPool", [g.quantized(x, 0.02)], "pool", kernel_shape=[2, 2], strides=[2, 2])
    return finished(g, g.conv(g.quantized(pooled, 0.05 if fault else 0.02), "c"))


@case("TRT004", TENSORRT, "warning", "up")
def unequal_upsample(graph, fault):
    g, x = half_way(graph)
    sizes = g.store("sizes", np.array([1, 1, 2, 2], np.float32))
    up = g.node("Resize", [g.quantized(x, 0.02), "", sizes], "up", mode="nearest")
    return finished(g, g.conv(g.quantized(up, 0.05 if fault else 0.02), "c"))


@case("TRT005", TENSORRT, "warning", "c")
def single_precision(graph, fault):
    g, x = (graph(), "x") if fault else half_way(graph)
    return finished(g, g.conv(g.quantized(x), "c"))


def suppressing(graph, op, **settings):
    g = graph()
    g.decode(g.conv("x", "c", real=True))
    g.nodes.append(helper.make_node(op, ["out", "out"], ["kept"], "suppress", **settings))
    return g.model(outputs=("kept",), domains=[settings["domain"]])


@case("TRT006", TENSORRT, "error", "suppress")
@case("ORT004", ONNXRUNTIME, "error", "suppress")
@case("OV002", OPENVINO, "error", "suppress")
def plugin_operator(graph, fault):
    if fault:
        return suppressing(graph, "EfficientNMS_TRT", domain="TRT")
    g = graph()
    g.decode(g.conv("x", "c", real=True))
    return g.model()


@case("TRT007", TENSORRT, "error", "suppress")
def suppression(graph, fault):
    g = graph()
    g.decode(g.conv("x", "c", real=True))
    if fault:
        boxes = g.node("Reshape", ["out", g.store("rows", np.array([1, 64, 4]))], "boxes")
        scores = g.node("Reshape", ["out", g.store("columns", np.array([1, 4, 64]))], "scores")
        limits = [g.store("most", np.array([3])), g.store("iou", np.array([0.5], np.float32))]
        g.nodes.append(helper.make_node("NonMaxSuppression", [boxes, scores, *limits], ["kept"], "suppress"))
    return g.model(outputs=("kept",) if fault else ("out",))


@case("TRT008", TENSORRT, "error", "x16_quantized")
def half_in_an_old_opset(graph, fault):
    g, x = half_way(graph)
    y = g.conv(g.quantized(x), "c", weight=g.weight("c", (8, 8, 1, 1)))
    g.decode(g.node("Cast", [y], "y32", to=FLOAT))
    return g.model(opset=17 if fault else 19)


@case("TRT008", TENSORRT, "error", "x_quantized")
def opset_without_channels(graph, fault):
    g = graph()
    g.decode(g.conv(g.quantized("x"), "c", weight=g.weight("c", (8, 8, 1, 1), per_channel=False)))
    return g.model(opset=12 if fault else 13)


@case("TRT009", TENSORRT, "error", "bias")
def integer_bias(graph, fault):
    g, x = half_way(graph)
    stored = [g.store("steps", np.arange(8, dtype=np.int32)), g.store("unit", np.full(8, 0.001, np.float16))]
    bias = g.node("DequantizeLinear", stored, "bias", axis=0) if fault else None
    return finished(g, g.conv(g.quantized(x), "c", bias=bias))


@case("TRT009", TENSORRT, "error", "integer")
def integer_operator(graph, fault):
    g = graph()
    q = g.quantized("x")
    if not fault:
        return finished(g, g.conv(q, "c"))
    given, weight = ["x_scale", "x_zero_point"], g.store("w", np.ones((8, 8, 1, 1), np.int8))
    y = g.node("QLinearConv", ["x_quantized", *given, weight, *given, *given], "integer")
    g.decode(g.node("DequantizeLinear", [y, *given], "back"))
    return g.model()


@case("TRT010", TENSORRT, "warning", "x16_quantized")
def channel_activations(graph, fault):
    g, x = half_way(graph)
    many = {"scale": np.full(8, 0.02), "point": np.zeros(8), "axis": 1}
    return finished(g, g.conv(g.quantized(x, **(many if fault else {})), "c"))


@case("TRT011", TENSORRT, "warning", "sum")
def half_a_sum(graph, fault):
    g, x = half_way(graph)
    one = g.conv(g.quantized(x), "a")
    other = g.conv(g.quantized(one), "b")
    return finished(g, g.node("Add", ["a_dequantized", other if fault else g.quantized(other)], "sum"))


@case("TRT012", TENSORRT, "info", "")
def not_quantized(graph, fault):
    if not fault:
        g, x = half_way(graph)
        return finished(g, g.conv(g.quantized(x), "c"))
    g = graph()
    g.decode(g.conv("x", "c", real=True))
    return g.model()


# OpenVINO and ONNX Runtime


@case("OV001", OPENVINO, "error", "x_quantized")
def signed(graph, fault):
    g = graph(*((np.int8, 0) if fault else (np.uint8, 128)))
    return finished(g, g.conv(g.quantized("x"), "c"))


@case("OV003", OPENVINO, "warning", "c")
def weights_with_a_zero_point(graph, fault):
    g = graph(np.uint8, 128)
    weight = g.weight("c", (8, 8, 1, 1), point=3 if fault else 0)
    return finished(g, g.conv(g.quantized("x"), "c", weight=weight))


@case("ORT001", ONNXRUNTIME, "warning", "c")
def float_output(graph, fault):
    g = graph(np.uint8, 128)
    y = g.conv(g.quantized("x"), "c")
    return finished(g, g.silu(y if fault else g.quantized(y)))


@case("ORT002", ONNXRUNTIME, "info", "c_silu_last_quantized")
def symmetric_silu(graph, fault):
    g = graph(np.uint8, 128 if fault else 14)
    return finished(g, g.silu(g.conv(g.quantized("x"), "c")))


@case("ORT003", ONNXRUNTIME, "error", "c")
def axis_of_a_fused_convolution(graph, fault):
    g = graph(np.uint8, 128)
    weight = g.weight("c", (16, 8, 1, 1), axis=1 if fault else 0)
    return finished(g, g.conv(g.quantized("x"), "c", (8, 16), weight=weight), (16, 8))


@pytest.mark.parametrize(("axis", "right"), [(0, True), (1, False)])
def test_onnxruntime_really_takes_the_axis_for_granted(graph, axis, right):
    """The rule ORT003 stands as long as this does: optimized and not, the same file gives other numbers."""
    g = graph(np.uint8, 128)
    y = g.conv(g.quantized("x"), "c", weight=g.weight("c", (8, 8, 1, 1), axis=axis))
    g.stored["c.weight_quantized"] //= 2  # sums of such weights saturate on no CPU
    g.stored["c.weight_scale"] = np.array([0.001, 0.01, 0.03, 0.0005] * 2, np.float32)
    g.node("Identity", [g.quantized(y, 0.05)], "out")
    model = g.model().SerializeToString()
    picture, results = {"x": np.random.default_rng(1).normal(0, 1, (1, 8, 8, 8)).astype(np.float32)}, []
    for level in (
        onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
        onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    ):
        settings = onnxruntime.SessionOptions()
        settings.graph_optimization_level = level
        results.append(onnxruntime.InferenceSession(model, settings).run(None, picture)[0])
    assert (np.abs(results[0] - results[1]).max() < 0.06) == right


@pytest.mark.parametrize("one", CASES)
def test_a_planted_fault_is_found(graph, found, one):
    hits = found(one.make(graph, True), one.target, one.rule)
    assert one.severity in {hit.severity for hit in hits if hit.where == one.where}
    assert all(hit.message and hit.why and hit.hint for hit in hits)


@pytest.mark.parametrize("one", CASES)
def test_the_same_graph_without_it_passes(graph, found, one):
    hits = found(one.make(graph, False), one.target, one.rule)
    assert [hit for hit in hits if one.severity == "info" or hit.severity != "info"] == []


# contracts

AGREED = {
    "contract": "1.0",
    "task": "detection",
    "inputs": [{"name": "x", "dtype": "float32", "layout": "NCHW", "shape": [1, 8, 8, 8]}],
    "outputs": [
        {"name": "out", "dtype": "float32", "shape": [1, 6, 64], "meaning": "boxes-classes", "stage": "decoded"}
    ],
    "preprocess": {"component": "letterbox", "params": {"scale": 1 / 255}},
    "postprocess": {"component": "yolo", "params": {}},
    "classes": ["ball", "player"],
    "provenance": {
        "calibration": {"sha256": "0" * 64, "pictures": 3, "shape": [1, 8, 8, 8]},
        "quantization": {"profile": "openvino"},
    },
}


def with_contract(graph, contract, shape=(1, 8, 8, 8), scale=1 / 127):
    g = graph(np.uint8, 128)
    y = g.conv(g.quantized("x", scale), "c", (8, 6))
    g.node("Reshape", [y, g.store("flat", np.array([shape[0], 6, 64]))], "out")
    model = g.model(shape)
    if contract is not None:
        model.metadata_props.add(key=KEY, value=json.dumps(contract))
    return model


def changed(**parts):
    return {**AGREED, **parts}


def provenance(**parts):
    return changed(provenance={**AGREED["provenance"], **parts})


CONTRACTS = [
    ("CON001", "info", "", None),
    ("CON002", "error", "", changed(inputs=[{**AGREED["inputs"][0], "name": "images"}])),
    ("CON002", "error", "x", changed(inputs=[{**AGREED["inputs"][0], "shape": [1, 8, 16, 8]}])),
    ("CON002", "error", "out", changed(outputs=[{**AGREED["outputs"][0], "dtype": "float16"}])),
    ("CON002", "error", "", changed(outputs=AGREED["outputs"] * 2)),
    ("CON003", "error", "x", changed(inputs=[{**AGREED["inputs"][0], "shape": [16, 8, 8, 8]}])),
    ("CON004", "warning", "x", provenance(calibration={"sha256": "0" * 64, "shape": [1, 8, 16, 16]})),
    ("CON005", "error", "out", changed(classes=["ball"])),
    ("CON006", "warning", "", provenance(calibration={})),
    ("CON007", "info", "", provenance(quantization={"profile": "tensorrt"})),
]


@pytest.mark.parametrize(("rule", "severity", "where", "contract"), CONTRACTS)
def test_a_contract_that_is_not_the_files_is_found(graph, found, rule, severity, where, contract):
    hits = found(with_contract(graph, contract), OPENVINO, rule)
    assert {(hit.severity, hit.where) for hit in hits} == {(severity, where)}
    assert all(hit.message and hit.why and hit.hint for hit in hits)


def test_a_contract_that_is_the_files_passes(graph, found):
    rules = {rule.id for rule in CONTRACT_RULES} | {"QDQ004"}
    assert [hit for hit in found(with_contract(graph, AGREED), OPENVINO) if hit.rule in rules] == []


def test_a_batch_that_is_the_outputs_alone(graph, found):
    model = with_contract(graph, changed(outputs=[{**AGREED["outputs"][0], "shape": [2, 6, 64]}]))
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 2
    (hit,) = found(model, OPENVINO, "CON003")
    assert (hit.where, hit.severity) == ("out", "error")


@pytest.mark.parametrize(("scale", "sha", "doubted"), [(1e-4, "", True), (0.5, "", True), (1e-4, "0" * 64, False)])
def test_an_input_range_that_no_picture_has_is_doubted(graph, found, scale, sha, doubted):
    """After the contract's preprocessing pictures lie within 0..1; a file with a calibration hash is not questioned."""
    model = with_contract(graph, provenance(calibration={"sha256": sha} if sha else {}), scale=scale)
    hits = found(model, OPENVINO, "QDQ004")
    assert [hit.where for hit in hits] == (["x_quantized"] if doubted else [])


def test_layers_that_were_left_float_on_demand_are_no_fault(graph, found):
    g = graph(np.uint8, 128)
    y = g.conv(g.quantized("x"), "a")
    model = finished(g, g.conv(g.quantized(g.conv(y, "b", real=True)), "c"))
    assert found(model, OPENVINO, "QDQ016")
    said = provenance(quantization={"profile": "openvino", "left_float": ["b"]})
    model.metadata_props.add(key=KEY, value=json.dumps(said))
    assert found(model, OPENVINO, "QDQ016") == []


# the pages


def test_every_rule_has_a_case(host):
    planted = {one.values[0].rule for one in CASES} | {rule for rule, *_ in CONTRACTS} | RUN
    planted |= {"OV101", "OV102", "OV103", "OV104", "QDQ006"}
    assert {rule.id for rule in checking.rules(host)} == planted


def test_every_rule_has_a_page(host):
    rules = checking.rules(host)
    assert len({rule.id for rule in rules}) == len(rules)
    for rule in rules:
        text = checking.page(rule)
        parts = [part for part in text.split("\n\n") if part]
        assert text.startswith(f"# {rule.id}\n"), rule.id
        assert sum(part.startswith("Why: ") for part in parts) == 1, rule.id
        assert sum(part.startswith("Fix: ") for part in parts) == 1, rule.id
        assert 10 < len(rule.summary) < 110, rule.id
        assert rule.severity in checking.SEVERITIES


def test_one_scale_in_another_shape_and_a_zero_point_left_out_are_no_fault(graph, found):
    g = graph()
    g.conv(g.quantized("x"), "c")
    model = finished(g, g.conv("x", "c2"))
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[2].startswith("x"):
            del node.input[2:]
    stored = next(tensor for tensor in model.graph.initializer if tensor.name == "x_scale")
    stored.dims.append(1)
    assert not found(model, TENSORRT, "QDQ005")
    assert not found(model, TENSORRT, "TRT003")


def test_a_negative_axis_is_the_axis_that_it_means(graph, found):
    g = graph()
    model = finished(g, g.conv(g.quantized("x"), "c", weight=g.weight("c", (8, 8, 1, 1))))
    for node in model.graph.node:
        for entry in node.attribute:
            if node.name.startswith("c.weight") and entry.name == "axis":
                entry.i = -4
    assert not found(model, TENSORRT, "TRT002")
    assert not found(model, ONNXRUNTIME, "ORT003")


def test_a_models_own_functions_are_known_and_subgraphs_are_looked_into(graph, found):
    g = graph()
    model = finished(g, g.conv(g.quantized("x"), "c"))
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.functions.append(
        helper.make_function(
            "own", "Mine", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 20)]
        )
    )
    model.graph.node.append(helper.make_node("Mine", ["x"], ["mine"], domain="own"))
    assert not found(model, TENSORRT, "TRT006")
    inner = [helper.make_node("EfficientNMS_TRT", ["x"], ["inside"], domain="TRT")]
    branch = helper.make_graph(inner, "branch", [], [helper.make_tensor_value_info("inside", FLOAT, None)])
    model.graph.node.append(helper.make_node("If", ["yes"], ["chosen"], then_branch=branch, else_branch=branch))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "yes"))
    model.opset_import.append(helper.make_opsetid("TRT", 1))
    assert found(model, TENSORRT, "TRT006")


@pytest.mark.parametrize("stored", ["integers", "floats"])
@pytest.mark.parametrize("kind", [np.int8, np.uint8])
@pytest.mark.parametrize("axis", [0, 1])
def test_weights_are_seen_through_what_moves_them(graph, found, stored, kind, axis):
    """As other exporters store them: behind Transpose, Reshape, Cast and Identity, before Q/DQ and behind."""

    def model(moved):
        g = graph(np.uint8, 128)
        g.quantized("x")
        value = np.random.default_rng(1).integers(0, 100, (8, 8, 1, 1)).astype(kind)
        scales, zeros = g.store("ws", np.full(8, 0.01, np.float32)), g.store("wz", np.full(8, 3, kind))
        value, at = (value.reshape(2, 4, 8), 2) if moved == "Reshape" and axis else (value, axis)
        if stored == "floats":
            value = value.astype(np.float16 if moved == "Cast" else np.float32) / 100
        elif moved == "Cast":
            value = value.astype(np.int32)
        before = moved in ("Cast", "Transpose before")
        if moved.startswith("Transpose"):
            value, at = value.transpose(3, 2, 1, 0), axis if before else 3 - axis
        if moved == "Reshape" and not axis:
            value = value.reshape(8, 8)
        weight = g.store("c.weight", np.ascontiguousarray(value))
        whole = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind)) if stored == "integers" else FLOAT
        moving = {
            "": lambda name: name,
            "Cast": lambda name: g.node("Cast", [name], "cast", to=whole),
            "Identity": lambda name: g.node("Identity", [name], "same"),
            "Reshape": lambda name: g.node("Reshape", [name, g.store("form", np.array([8, 8, 1, 1]))], "formed"),
        }.get(moved, lambda name: g.node("Transpose", [name], "turned", perm=[3, 2, 1, 0]))
        weight = moving(weight) if before else weight
        if stored == "floats":
            weight = g.node("QuantizeLinear", [weight, scales, zeros], "wq", axis=at)
        weight = g.node("DequantizeLinear", [weight, scales, zeros], "wd", axis=at)
        return finished(g, g.quantized(g.conv("x_dequantized", "c", weight=weight if before else moving(weight))))

    def said(moved, target):
        return {(one.rule, one.where) for one in found(model(moved), target) if one.rule not in ("OV006", "QDQ006")}

    for target in (ONNXRUNTIME, OPENVINO, TENSORRT):
        plain = said("", target)
        for moved in ("Identity", "Cast", "Transpose before", "Transpose behind", "Reshape"):
            keeps_float = {("ORT001", "c")} if moved == "Reshape" and target == ONNXRUNTIME else set()
            assert said(moved, target) == plain | keeps_float, (moved, target)


def test_a_selection_that_asks_nothing_is_refused(graph, host, tmp_path):

    path = tmp_path / "model.onnx"
    onnx.save(finished(graph(), "x"), path)
    with pytest.raises(UsageError, match="leave no rule for tensorrt"):
        checking.check(path, TENSORRT, plugins=host, select=["OV001"])


@pytest.mark.parametrize("calibration", ["x", ["a"]])
def test_a_contract_of_odd_parts_is_refused_by_the_name_of_the_field(graph, found, calibration):
    with pytest.raises(FileError, match=r"contract field provenance\.calibration: expected object"):
        found(with_contract(graph, provenance(calibration=calibration)), OPENVINO)


def test_a_contract_of_odd_figures_is_checked_as_far_as_it_goes(graph, found):
    assert found(with_contract(graph, provenance(calibration={"shape": 640})), OPENVINO)
