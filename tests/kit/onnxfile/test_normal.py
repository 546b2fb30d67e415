"""Graphs as other exporters leave them: one normal form, the same numbers and names."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from qcore.plugin import FileError
from qcore_kit.onnxfile.integer_operators import DYNAMIC, counts
from qcore_kit.onnxfile.normal import fixed, in_order, inferred, is_normal, normalised
from qcore_kit.quantization.graph import from_onnx
from qcore_plugins.formats.onnx.format import OnnxFormat
from qcore_plugins.formats.onnx.fp16 import single

RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float32)


def model(nodes, constants, *, shape=(1, 3, 16, 16), out=(1, 8, 14, 14), ir=10, opset=17):
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, ir_version=ir, opset_imports=[helper.make_opsetid("", opset)])


def conv(*before, **constants):
    return model([*before, helper.make_node("Conv", ["images", "conv.weight"], ["out"], "conv")], constants)


def as_input():
    made = conv(**{"conv.weight": WEIGHT})
    made.graph.input.append(helper.make_tensor_value_info("conv.weight", TensorProto.FLOAT, WEIGHT.shape))
    made.ir_version = 3
    return made


def node(op, *inputs, **attributes):
    return helper.make_node(op, inputs, ["conv.weight"], "making", **attributes)


KINDS = {
    "identity": lambda: conv(node("Identity", "stored"), stored=WEIGHT),
    "cast": lambda: conv(node("Cast", "stored", to=1), stored=WEIGHT.astype(np.float16)),
    "transpose": lambda: conv(
        node("Transpose", "stored", perm=[3, 2, 0, 1]), stored=np.ascontiguousarray(WEIGHT.transpose(2, 3, 1, 0))
    ),
    "reshape": lambda: conv(
        node("Reshape", "stored", "shape"), stored=WEIGHT.ravel(), shape=np.array(WEIGHT.shape, np.int64)
    ),
    "scaled": lambda: conv(node("Mul", "stored", "factor"), stored=WEIGHT, factor=np.float32([2])),
    "constant": lambda: conv(node("Constant", value=numpy_helper.from_array(WEIGHT))),
    "input": as_input,
}


def run(proto, **inputs):
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(proto.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def pixels(*shape):
    return RNG.uniform(0, 1, shape or (1, 3, 16, 16)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_initializers_under_the_name_that_the_layer_reads(kind):
    proto = KINDS[kind]()
    before = proto.SerializeToString()
    made = normalised(proto)
    onnx.checker.check_model(made)
    assert proto.SerializeToString() == before
    assert not is_normal(proto)
    assert is_normal(made)
    assert [tensor.name for tensor in made.graph.initializer] == ["conv.weight"]
    assert [value.name for value in made.graph.input] == ["images"]
    assert [(found.name, found.layer) for found in from_onnx(made).weighted] == [("conv", "conv")]
    picture = pixels()
    assert np.array_equal(run(made, images=picture)[0], run(proto, images=picture)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_any_of_them_gets_a_contract_and_is_quantized(kind, tmp_path):
    """A file with a contract is read in the same form; the file itself stays as it is."""
    from qcore_kit.quantization.calibration import ranges
    from qcore_kit.quantization.table import weight_scales

    path = tmp_path / "model.onnx"
    proto = KINDS[kind]()
    onnx.save(proto, path)
    read = OnnxFormat().prepared(OnnxFormat().open(path))
    graph = from_onnx(read)
    assert set(ranges(read, graph, [{"images": pixels()}], "minmax")) >= {"images", "out"}
    assert set(weight_scales(graph, read)) == {"conv.weight"}


def test_sizes_that_a_dynamic_export_computes_are_folded_at_the_input_s_size():
    """Two reshapes, each by a Shape of what stands before it: as torch.onnx writes x.view(b, c, -1)."""
    nodes = [helper.make_node("Conv", ["images", "conv.weight"], ["map"], "conv")]
    for index, (source, made) in enumerate((("map", "flat"), ("flat", "again"))):
        nodes += [
            helper.make_node("Shape", [source], [f"shape{index}"], f"shape{index}"),
            helper.make_node("Gather", [f"shape{index}", "first"], [f"batch{index}"], f"gather{index}", axis=0),
            helper.make_node("Unsqueeze", [f"batch{index}", "axis"], [f"row{index}"], f"unsqueeze{index}"),
            helper.make_node("Concat", [f"row{index}", "rest"], [f"sizes{index}"], f"concat{index}", axis=0),
            helper.make_node("Reshape", [source, f"sizes{index}"], [made], f"reshape{index}"),
        ]
    nodes.append(helper.make_node("Transpose", ["again"], ["out"], "turn", perm=[0, 2, 1]))
    constants = {
        "conv.weight": WEIGHT,
        "first": np.array(0),
        "axis": np.array([0]),
        "rest": np.array([8, -1]),
    }
    dynamic = model(nodes, constants, shape=["b", 3, "h", "w"], out=["b", "n", 8])
    open_ = normalised(dynamic)
    assert sum(found.op_type == "Shape" for found in open_.graph.node) == 2
    fixed_ = model(nodes, constants, out=["b", "n", 8])
    made = normalised(fixed_)
    assert [found.op_type for found in made.graph.node] == ["Conv", "Reshape", "Reshape", "Transpose"]
    assert fixed(inferred(made)["out"]) == (1, 196, 8)
    assert OnnxFormat().signature(made)[1][0].shape == (1, 196, 8)
    picture = pixels()
    assert np.array_equal(run(made, images=picture)[0], run(dynamic, images=picture)[0])


def test_what_depends_on_values_stays_computed():
    nodes = [
        helper.make_node("NonZero", ["images"], ["where"], "nonzero"),
        helper.make_node("Shape", ["where"], ["count"], "shape"),
        helper.make_node("Cast", ["count"], ["out"], "cast", to=1),
    ]
    made = normalised(model(nodes, {}, out=[2]))
    assert [found.op_type for found in made.graph.node] == ["NonZero", "Shape", "Cast"]


def test_nodes_of_one_name_are_told_apart_and_random_numbers_stay():
    nodes = [
        helper.make_node("Relu", ["images"], ["one"], "same"),
        helper.make_node("RandomNormalLike", ["bias"], ["noise"], "draw", seed=1.0),
        helper.make_node("Add", ["one", "noise"], ["out"], "same"),
    ]
    made = normalised(model(nodes, {"bias": np.float32([1.0])}, out=[1, 3, 16, 16]))
    assert [found.name for found in made.graph.node] == ["same", "draw", "same_2"]
    assert [tensor.name for tensor in made.graph.initializer] == ["bias"]


def test_a_constant_that_grows_large_stays_computed(monkeypatch):
    monkeypatch.setattr("qcore_kit.onnxfile.normal.LARGE", 1000)
    nodes = [
        helper.make_node("Expand", ["value", "shape"], ["grown"], "expand"),
        helper.make_node("Add", ["images", "grown"], ["out"], "add"),
    ]
    constants = {"value": np.float32([1.0]), "shape": np.array([1, 3, 16, 16])}
    made = normalised(model(nodes, constants, out=[1, 3, 16, 16]))
    assert [found.op_type for found in made.graph.node] == ["Expand", "Add"]


def test_outputs_with_a_type_and_no_shape_are_read(tmp_path):
    proto = conv(**{"conv.weight": WEIGHT})
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(proto, tmp_path / "model.onnx")
    content = OnnxFormat().open(tmp_path / "model.onnx")
    assert not content.graph.output[0].type.tensor_type.HasField("shape")
    assert OnnxFormat().signature(OnnxFormat().prepared(content))[1][0].shape == (1, 8, 14, 14)


def test_a_damaged_file_is_still_refused(tmp_path):
    proto = conv(**{"conv.weight": WEIGHT})
    proto.graph.node[0].input[1] = "nowhere"
    onnx.save(proto, tmp_path / "model.onnx")
    with pytest.raises(FileError, match="not a valid ONNX file"):
        OnnxFormat().open(tmp_path / "model.onnx")


def test_nodes_out_of_order_are_put_in_order():
    nodes = [
        helper.make_node("Relu", ["two"], ["out"], "last"),
        helper.make_node("Abs", ["images"], ["one"], "first"),
        helper.make_node("Neg", ["one"], ["two"], "second"),
    ]
    proto = model(nodes, {}, out=[1, 3, 16, 16])
    made = in_order(proto)
    assert [found.name for found in made.graph.node] == ["first", "second", "last"]
    assert in_order(made) is made
    onnx.checker.check_model(made)


@pytest.mark.parametrize(
    ("operator", "encoding"),
    [
        ("ConvInteger", "native"), ("QLinearConv", "native"), ("DynamicQuantizeLinear", "native"), ("Conv", "float"),
        ("MatMulIntegerToFloat", "native"), ("DynamicQuantizeLSTM", "native"), ("QAttention", "native"),
        ("GatherBlockQuantized", "native"),
    ],
)  # fmt: skip
def test_integer_operators_are_quantized(operator, encoding):
    proto = conv(**{"conv.weight": WEIGHT})
    proto.graph.node[0].op_type = operator
    assert OnnxFormat().form(proto).encoding == encoding


def test_integer_operators_in_bodies_and_functions_are_found():
    node = helper.make_node("MatMulInteger", ["a", "b"], ["c"])
    body = helper.make_graph([node], "body", [], [])
    bare = [helper.make_opsetid("", 17)]
    branches = helper.make_node("If", ["condition"], ["out"], then_branch=body, else_branch=body)
    in_bodies = helper.make_model(helper.make_graph([branches], "outer", [], []), opset_imports=bare)
    function = helper.make_function("own", "DynamicQuantizeLinear", ["a", "b"], ["c"], [node], bare)
    call = helper.make_node("DynamicQuantizeLinear", ["a", "b"], ["c"], domain="own")
    in_function = helper.make_model(helper.make_graph([call], "outer", [], []), functions=[function])
    assert counts(in_bodies) == {DYNAMIC: {"MatMulInteger": 2}}
    assert counts(in_function) == {DYNAMIC: {"MatMulInteger": 1}}


def behind(op, *values, kind="Conv", bias=True, turned=False, **attributes):
    """A convolution and one more operation; the convolution makes eight channels, in two groups."""
    shape = (8, 2, 3, 3) if kind == "Conv" else (4, 4, 3, 3)
    constants = {"w": RNG.normal(0, 0.3, shape).astype(np.float32), "b": RNG.normal(0, 1, 8).astype(np.float32)}
    constants |= {f"c{place}": np.asarray(value, np.float32) for place, value in enumerate(values)}
    read = ["inner", *(f"c{place}" for place in range(len(values)))]
    nodes = [
        helper.make_node(kind, ["images", "w", "b"][: 3 if bias else 2], ["inner"], "layer", group=2),
        helper.make_node(op, read[::-1] if turned else read, ["out"], "behind", **attributes),
    ]
    return model(nodes, constants, shape=(1, 4, 8, 8), out=(1, 8, *((6, 6) if kind == "Conv" else (10, 10))))


CHANNELS = RNG.normal(0, 2, (1, 8, 1, 1))
STATISTICS = (RNG.normal(1, 0.5, 8), RNG.normal(0, 1, 8), RNG.normal(0, 1, 8), RNG.uniform(0.1, 3, 8))
BEHIND = {
    "normalization": lambda: behind("BatchNormalization", *STATISTICS, epsilon=0.01),
    "normalization, no bias": lambda: behind("BatchNormalization", *STATISTICS, bias=False),
    "normalization, transposed": lambda: behind("BatchNormalization", *STATISTICS, kind="ConvTranspose"),
    "bias": lambda: behind("Add", CHANNELS, bias=False),
    "bias in front": lambda: behind("Add", CHANNELS[0], turned=True),
    "difference": lambda: behind("Sub", CHANNELS),
    "difference in front": lambda: behind("Sub", CHANNELS, turned=True),
    "factor": lambda: behind("Mul", CHANNELS, kind="ConvTranspose"),
    "division": lambda: behind("Div", CHANNELS),
}


@pytest.mark.parametrize("kind", BEHIND)
def test_what_is_one_factor_and_term_per_channel_goes_into_the_convolution(kind):
    proto = BEHIND[kind]()
    made = normalised(proto)
    assert not is_normal(proto)
    assert is_normal(made)
    assert [(node.name, node.output[0]) for node in made.graph.node] == [("layer", "out")]
    picture = RNG.normal(0, 1, (1, 4, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(run(made, images=picture)[0], run(proto, images=picture)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "proto",
    [
        behind("Add", RNG.normal(0, 1, (1, 1, 1, 6))),
        behind("Mul", RNG.normal(0, 1, (1, 8, 6, 6))),
        behind("Div", CHANNELS, turned=True),
        behind("Mul", 2.0),
        behind("BatchNormalization", *STATISTICS[:3], [-1.0] * 8),
    ],
    ids=["columns", "places", "inverse", "one number", "not finite"],
)
def test_other_operations_stay(proto):
    assert len(normalised(proto).graph.node) == 2


def test_weights_that_two_convolutions_share_are_copied():
    nodes = [
        helper.make_node("Conv", ["images", "w", "b"], ["one"], "one"),
        helper.make_node("Conv", ["images", "w", "b"], ["two"], "two"),
        helper.make_node("Mul", ["two", "c"], ["scaled"], "mul"),
        helper.make_node("Add", ["one", "scaled"], ["out"], "sum"),
    ]
    proto = model(nodes, {"w": WEIGHT, "b": np.float32(range(8)), "c": CHANNELS.astype(np.float32)})
    picture = RNG.normal(0, 1, (1, 3, 16, 16)).astype(np.float32)
    made = normalised(proto)
    assert [node.op_type for node in made.graph.node] == ["Conv", "Conv", "Add"]
    np.testing.assert_allclose(run(made, images=picture)[0], run(proto, images=picture)[0], rtol=1e-4, atol=1e-4)


def passed(op, *more, opset=17, **attributes):
    nodes = [
        helper.make_node("Conv", ["images", "w"], ["made"], "conv"),
        helper.make_node(op, ["made", *more], ["handed on"], "passing", **attributes),
        helper.make_node("Relu", ["handed on"], ["out"], "relu"),
    ]
    constants = {"w": WEIGHT, "yes": np.array(True), "ratio": np.float32(0.5)}
    return model(nodes, constants, opset=opset)


@pytest.mark.parametrize(
    "proto",
    [passed("Identity"), passed("Dropout"), passed("Dropout", "ratio", opset=13), passed("Cast", to=1)],
    ids=["identity", "dropout", "ratio", "cast"],
)
def test_what_hands_on_a_tensor_is_left_out(proto):
    made = normalised(proto)
    assert not is_normal(proto)
    assert is_normal(made)
    assert [node.op_type for node in made.graph.node] == ["Conv", "Relu"]
    picture = RNG.normal(0, 1, (1, 3, 16, 16)).astype(np.float32)
    np.testing.assert_array_equal(run(made, images=picture)[0], run(proto, images=picture)[0])


@pytest.mark.parametrize(
    "proto", [passed("Dropout", "ratio", "yes"), passed("Cast", to=11)], ids=["training", "double"]
)
def test_what_changes_a_tensor_stays(proto):
    if proto.graph.node[1].op_type == "Cast":
        proto.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    assert len(normalised(proto).graph.node) == 3


def test_a_tensor_that_is_handed_out_keeps_its_name():
    proto = passed("Identity")
    proto.graph.output.append(helper.make_tensor_value_info("handed on", TensorProto.FLOAT, (1, 8, 14, 14)))
    assert len(normalised(proto).graph.node) == 3


def test_float16_inside_a_float32_graph_is_float16():
    """Quantizers then start from float32 throughout, as they do for a file in float16."""
    nodes = [
        helper.make_node("Conv", ["images", "w"], ["made"], "conv"),
        helper.make_node("Cast", ["made"], ["half"], "down", to=10),
        helper.make_node("Cast", ["half"], ["single"], "up", to=1),
        helper.make_node("Relu", ["single"], ["out"], "relu"),
    ]
    proto = model(nodes, {"w": WEIGHT})
    assert OnnxFormat().form(proto).precision == "f16"
    assert [node.op_type for node in single(proto).graph.node] == ["Conv", "Relu"]
