"""What other people's files have between their convolutions: every profile writes it, and its runtime computes it."""

from dataclasses import replace
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from qcore.plugin import CheckFailed
from qcore_kit.quantization.calibration import ranges
from qcore_kit.quantization.graph import from_onnx
from qcore_kit.quantization.literal import literal
from qcore_kit.quantization.placement import candidates, place
from qcore_kit.quantization.table import ScaleTable, weight_scales
from qcore_kit.quantization.writer import write
from qcore_kit.testing.zoo import BLOCKS, CHANNELS, SIDE, Builder, build
from qcore_plugins.runtimes.onnxruntime.profile import ONNXRUNTIME
from qcore_plugins.runtimes.openvino.profile import OPENVINO
from qcore_plugins.runtimes.tensorrt.profile import TENSORRT

PROFILES = {profile.name: profile for profile in (ONNXRUNTIME, OPENVINO, TENSORRT)}

PICTURES = [np.random.default_rng(seed).random((1, 3, SIDE, SIDE), np.float32) for seed in range(4)]
NOISE = {"grouped_convolution": 0.8, "names_that_collide": 0.4}
"""Mean error against float, in standard deviations of each output channel; .2 for all others."""
SYMMETRIC = replace(OPENVINO, symmetric=True)


@cache
def table(name):
    return table_of(build(name))


def table_of(model):
    graph = from_onnx(model)
    found = ranges(model, graph, [{"x": picture} for picture in PICTURES], "minmax")
    return ScaleTable.make(model, found, weight_scales(graph, model), needed=candidates(graph))


def run(model):
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    return np.stack([session.run(None, {"x": picture})[0] for picture in PICTURES])


def run_openvino(model):
    core = pytest.importorskip("openvino").Core()
    read = core.read_model(model.SerializeToString())
    compiled = core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.stack([compiled({"x": picture})[0] for picture in PICTURES])


def run_literally(model):
    session = literal(model)
    return np.stack([next(iter(session.run({"x": picture}).values())) for picture in PICTURES])


def apart(one, other, expected):
    """Mean difference in standard deviations of each channel of what is expected."""
    return float((np.abs(one - other) / expected.std(axis=(0, 1, 3))[:, None]).mean())


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize(
    ("profile", "runtime"),
    [(ONNXRUNTIME, run), (OPENVINO, run_openvino), (SYMMETRIC, run_openvino), (TENSORRT, None)],
    ids=["onnxruntime", "openvino", "openvino-symmetric", "tensorrt"],
)
def test_a_block_is_written_right_and_computed_as_written(name, profile, runtime):
    expected = run(build(name))
    written = write(table(name), profile)
    onnx.checker.check_model(written, full_check=True)
    as_written = run_literally(written)
    noise = apart(as_written, expected, expected)
    assert noise < NOISE.get(name, 0.2)
    if runtime is not None:
        assert apart(runtime(written), as_written, expected) < 0.3 * noise + 1e-4


def stored(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
@pytest.mark.parametrize(("op", "trans", "axis"), [("Gemm", 1, 0), ("Gemm", 0, 1), ("MatMul", 0, 1)])
def test_scales_follow_the_output_channels_of_a_linear_layer(profile, op, trans, axis):
    b = Builder()
    values = b.op("Flatten", b.op("GlobalAveragePool", b.conv("x", CHANNELS, 3, 3)))
    weight = b.learned(*((16, CHANNELS) if trans else (CHANNELS, 16)), axis=axis)
    bias = b.const(b.rng.normal(0, 0.5, 16))
    made = b.op(op, values, weight, bias, transB=trans) if op == "Gemm" else b.op("Add", b.op(op, values, weight), bias)
    written = write(table_of(b.model(b.op("Gemm", made, b.learned(16, 16)))), profile)
    (node,) = [node for node in written.graph.node if node.name == f"{weight}_dequantize"]
    assert [entry.i for entry in node.attribute] == [axis]
    largest = np.abs(b.constants[weight]).max(axis=1 - axis)
    scale = stored(written)[
        node.input[1].removesuffix("_f16") if node.input[1] not in stored(written) else node.input[1]
    ]
    assert scale == pytest.approx(np.maximum(largest / 127, 2.0**-14 if profile.half else 0), rel=1e-3)


@pytest.mark.parametrize(("op", "biased"), [("Gemm", True), ("Gemm", False), ("MatMul", True), ("MatMul", False)])
def test_openvino_keeps_linear_layers_without_a_bias_in_float(op, biased):
    """On one thread OpenVINO 2026.4 reads a bias that is not there."""
    b = Builder()
    values = b.op("Flatten", b.op("GlobalAveragePool", b.conv("x", CHANNELS, 3, 3)))
    bias = b.const(b.rng.normal(0, 0.5, 16))
    if op == "Gemm":
        made = b.op(op, values, b.learned(CHANNELS, 16), *([bias] if biased else []))
    else:
        made = b.op(op, values, b.learned(CHANNELS, 16))
        made = b.op("Add", made, bias) if biased else b.op("Relu", made)
    model = b.model(b.op("Gemm", made, b.learned(16, 16), bias))
    first = next(node for node in from_onnx(model).nodes if node.op == op)
    assert (first in place(from_onnx(model), OPENVINO).weighted) == biased


def test_a_weight_that_is_used_along_two_axes_has_one_scale():
    b = Builder()
    values = b.op("Flatten", b.op("GlobalAveragePool", b.conv("x", CHANNELS, 3, 3)))
    weight = b.learned(CHANNELS, CHANNELS)
    back = b.op("Gemm", b.op("Gemm", values, weight, transB=1), weight)
    model = b.model(b.op("Gemm", back, b.learned(CHANNELS, CHANNELS)))
    written = write(table_of(model), ONNXRUNTIME)
    assert stored(written)[f"{weight}_scale"].shape == ()
    onnx.checker.check_model(written, full_check=True)


def test_a_table_with_scales_on_another_axis_is_refused():
    """As releases before this one wrote it for a Gemm."""
    made = table("gemm_transposed_square")
    said = made.to_dict()
    name = next(name for name, scale in said["weights"].items() if scale["axis"] == 0 and made.weights[name].scale.size)
    said["weights"][name]["axis"] = 1
    with pytest.raises(CheckFailed, match=f"weight {name} has scales on axis 1"):
        ScaleTable.from_dict(made.graph, said)


def corners(b, boxes):
    """Centres and sizes to corners, by a matrix."""
    half = [[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]]
    return b.op("MatMul", boxes, b.const(half))


def scaled(b, boxes):
    """The same, and to another size, so that the numbers are not round."""
    half = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]]) / 640
    return b.op("MatMul", boxes, b.const(half))


def expectation(b, boxes):
    """Bins of a distribution by a fully connected layer, with more than four of them."""
    bins = b.op("Softmax", b.op("Concat", boxes, boxes, axis=2), axis=-1)
    return b.op("MatMul", bins, b.const(b.rng.uniform(0, 16, (8, 1))))


def grouped_means(b, boxes):
    """Means of pairs, by a matrix with many zeros."""
    return b.op("MatMul", b.op("Concat", boxes, boxes, axis=2), b.const(np.repeat(np.eye(4), 2, axis=0) / 2))


@pytest.mark.parametrize("decode", [corners, scaled, expectation, grouped_means])
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_arithmetic_behind_the_last_layer_is_decode(decode, profile):
    """Boxes of a size of hundreds beside scores up to 1 (DeepStream-Yolo#595) cannot share a scale."""
    b = Builder()
    head = b.conv(b.op("Relu", b.conv("x", CHANNELS, 3, 3)), 6, CHANNELS)
    rows = b.op("Transpose", b.op("Reshape", head, b.const([1, 6, -1], np.int64)), perm=[0, 2, 1])
    boxes = b.op("Split", b.op("Sigmoid", rows), b.const([4, 2], np.int64), outputs=2, axis=2)
    made = decode(b, b.op("Mul", boxes, b.const([640.0, 480, 640, 480])))
    model = b.model(b.op("Concat", made, f"{boxes}_1", axis=2))
    graph = from_onnx(model)
    assert graph.last == {"conv2"}
    assert {node.op for node in graph.nodes if node.name in graph.tail} >= {"MatMul", "Split", "Mul", "Concat"}
    assert set(place(graph, replace(profile, last_layer=True)).tensors) <= {"x", "t0", "t1", "t2"}


def test_layers_behind_an_attention_are_layers():
    """A Softmax in the middle of a network does not begin the decode."""
    graph = from_onnx(build("attention"))
    assert len(graph.weighted) == 7
    assert {node.op for node in graph.nodes if node.name in graph.tail} == {"Reshape"}


def branched():
    """Layers whose results are read by one, by several, and by the last layer."""
    b = Builder()
    first = b.op("Relu", b.conv("x", CHANNELS, 3, 3))
    both = b.op("Concat", first, b.op("Relu", b.conv(first, CHANNELS, CHANNELS, 3)), axis=1)
    made = b.op("Relu", b.conv(b.op("Relu", b.conv(both, CHANNELS, 2 * CHANNELS)), CHANNELS, CHANNELS, 3))
    return b.model(b.op("Reshape", b.conv(made, 5, CHANNELS), b.const([1, 5, -1], np.int64)))


@pytest.mark.parametrize("layer", ["conv0", "conv2", "conv5", "conv7"])
def test_onnxruntime_computes_a_layer_that_was_left_float_in_float(layer):
    """ONNX Runtime makes integers, with one scale, of float weights between a DQ and a Q."""
    model = branched()
    expected, written = run(model), write(table_of(model).excluding([layer]), ONNXRUNTIME)
    everything = write(table_of(model), ONNXRUNTIME)
    assert apart(run(written), run_literally(written), expected) < 1e-4
    assert apart(run(written), expected, expected) < 1.1 * apart(run(everything), expected, expected)
    (node,) = [node for node in written.graph.node if node.name == layer]
    assert not node.input[0].endswith("_dequantized")


def test_nothing_is_quantized_for_layers_in_float_alone():
    model = branched()
    last = {node.name: node for node in write(table_of(model), ONNXRUNTIME).graph.node}["conv9"]
    assert not last.input[0].endswith("_dequantized")
    none = write(table_of(model).excluding([node.name for node in from_onnx(model).weighted]), ONNXRUNTIME)
    assert not any(node.op_type == "QuantizeLinear" for node in none.graph.node)


def test_sizes_and_grids_are_no_activations():
    for name in ("sides_computed_from_the_shape", "grid_computed_from_the_shape"):
        graph = from_onnx(build(name))
        counted = {
            made for node in graph.nodes if node.op in {"Shape", "Cast", "Floor", "Div"} for made in node.outputs
        }
        assert counted
        assert not counted & set(candidates(graph))


def test_what_only_a_subgraph_reads_is_kept():
    """An If that adds a stored number to what the network makes."""
    b = Builder()
    source = b.op("Relu", b.conv("x", CHANNELS, 3, 3))
    source = b.conv(b.op("Relu", b.conv(source, 6, CHANNELS)), 5, 6)
    number = b.const(0.25)
    branch = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", [source, number], ["sum"], "inner")],
        "branch",
        [],
        [onnx.helper.make_tensor_value_info("sum", onnx.TensorProto.FLOAT, [1, 5, SIDE, SIDE])],
    )
    model = b.model(b.op("If", b.const(True, bool), then_branch=branch, else_branch=branch))
    for profile in PROFILES.values():
        written = write(table_of(model), profile)
        assert run(written) == pytest.approx(run(model), abs=0.05)
