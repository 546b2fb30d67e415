"""Each operator gives what ONNX Runtime gives; what ncnn has no layer for is refused by name."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from qcore_ncnn.convert import single
from qcore_ncnn.layers import bin_bytes, param_text, read
from qcore_ncnn.writing import faults, written

from qcore.plugin import FileError
from qcore_kit.onnxfile.normal import normalised
from qcore_kit.onnxfile.view import View
from qcore_kit.quantization.literal import literal

VALUES = np.random.default_rng(0)


def graph(nodes, shape=(1, 8, 6, 10), opset=20, **constants):
    """A model from `x` to `y`."""
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    proto = helper.make_model(
        helper.make_graph(nodes, "g", [given], [made], stored), opset_imports=[helper.make_opsetid("", opset)]
    )
    proto.ir_version = 10
    return normalised(proto)


def node(kind, inputs="x", outputs="y", **said):
    return helper.make_node(kind, inputs.split(), outputs.split(), f"a {kind}", **said)


def weight(*shape):
    return VALUES.normal(size=shape).astype(np.float32)


def computed(proto, shape):
    """What ncnn and what ONNX Runtime, or Q/DQ taken literally, make of the same values."""
    net = pytest.importorskip("qcore_ncnn.net", reason="needs ncnn")
    from qcore_ncnn.format import NcnnModel

    layers, blobs = written(View(proto))
    again = read(param_text(layers), bin_bytes(layers))
    assert [layer.kind for layer in again] == [layer.kind for layer in layers]
    x = VALUES.normal(size=shape).astype(np.float32)
    got = net.Net(NcnnModel(again, blobs), "test").run({blobs["x"]: x[0]}, [blobs["y"]])[blobs["y"]]
    return got[None], literal(proto).run({"x": x})["y"]


OPERATORS = {
    "a convolution": (
        [node("Conv", "x w b", pads=[1, 2, 0, 1], strides=[2, 1])],
        {"w": weight(5, 8, 3, 4), "b": weight(5)},
    ),
    "one with dilations": ([node("Conv", "x w", dilations=[2, 3], pads=[2, 3, 2, 3])], {"w": weight(4, 8, 3, 3)}),
    "a depthwise one": ([node("Conv", "x w b", group=8, pads=[1] * 4)], {"w": weight(8, 1, 3, 3), "b": weight(8)}),
    "one of groups": ([node("Conv", "x w", group=2)], {"w": weight(6, 4, 1, 1)}),
    "a transposed one": (
        [node("ConvTranspose", "x w b", strides=[2, 2], pads=[1, 0, 0, 1], output_padding=[1, 0])],
        {"w": weight(8, 5, 3, 2), "b": weight(5)},
    ),
    "a SiLU": ([node("Sigmoid", "x", "s"), node("Mul", "x s")], {}),
    "a SiLU whose gate is read twice": ([node("Sigmoid", "x", "s"), node("Mul", "x s", "m"), node("Add", "m s")], {}),
    "rows of other layers": ([node("Relu", "x", "r"), node("LeakyRelu", "r", "l", alpha=0.2), node("Tanh", "l")], {}),
    "hard ones": ([node("HardSwish", "x", "h"), node("HardSigmoid", "h", alpha=0.3, beta=0.4)], {}),
    "a clip": ([node("Clip", "x low")], {"low": np.float32(-0.5)}),
    "a factor before": ([node("Sub", "c x", "d"), node("Div", "c d")], {"c": np.array([3], np.float32)}),
    "a square": ([node("Pow", "x two")], {"two": np.float32(2)}),
    "a stored grid": ([node("Add", "x g")], {"g": weight(1, 1, 6, 10)}),
    "a stored vector": ([node("Mul", "v x")], {"v": weight(8, 1, 1)}),
    "a pool": ([node("MaxPool", kernel_shape=[3, 5], pads=[1, 2, 1, 2], strides=[1, 2])], {}),
    "an average with zeros": ([node("AveragePool", kernel_shape=[2, 2], pads=[1, 0, 0, 1], count_include_pad=1)], {}),
    "an average without": ([node("AveragePool", kernel_shape=[3, 3], pads=[1] * 4)], {}),
    "one value a channel": ([node("GlobalAveragePool", "x", "p"), node("Mul", "x p")], {}),
    "halves": ([node("Split", "x", "a b", axis=1, num_outputs=2), node("Concat", "b a", axis=-1)], {}),
    "a piece": (
        [node("Slice", "x s e a")],
        {"s": np.array([2, -4]), "e": np.array([2**62, -1]), "a": np.array([1, -1])},
    ),
    "four dimensions": (
        [node("Reshape", "x s", "r"), node("Transpose", "r", perm=[0, 1, 3, 4, 2])],
        {"s": np.array([1, 2, 4, 6, 10])},
    ),
    "three turned": ([node("Transpose", perm=[0, 3, 1, 2])], {}),
    "two turned": ([node("Reshape", "x s", "r"), node("Transpose", "r", perm=[0, 2, 1])], {"s": np.array([1, 8, 60])}),
    "a softmax in the middle": ([node("Softmax", axis=2)], {}),
    "a sum": ([node("ReduceSum", "x a", keepdims=0)], {"a": np.array([2])}),
    "a mean that stays": ([node("ReduceMean", "x a", keepdims=1)], {"a": np.array([-1, -2])}),
    "twice the size": (
        [node("Resize", "x  f", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
        {"f": np.array([1, 1, 2, 2], np.float32)},
    ),
    "smoothly": ([node("Resize", "x  f", mode="linear")], {"f": np.array([1, 1, 2, 3], np.float32)}),
    "a row of values": (
        [node("Reshape", "x s", "r"), node("Gemm", "r w b", transB=1)],
        {"s": np.array([1, 480]), "w": weight(7, 480), "b": weight(7)},
    ),
    "the same as a product": (
        [node("Reshape", "x s", "r"), node("MatMul", "r w")],
        {"s": np.array([1, 480]), "w": weight(480, 7)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_gives_what_onnx_runtime_gives(name):
    nodes, constants = OPERATORS[name]
    if nodes[0].op_type == "Resize":
        nodes[0].input[:] = ["x", "", "f"]
    proto = graph(nodes, **constants)
    got, wanted = computed(proto, (1, 8, 6, 10))
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    assert tuple(session.get_outputs()[0].shape) == got.shape
    np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=2e-5)


def test_names_that_ncnn_cannot_read_are_changed():
    one, other = "my\ttensor", "my tensor"
    nodes = [helper.make_node("Relu", ["x"], [one], "n" * 300), helper.make_node("Neg", [one], [other])]
    got, wanted = computed(graph([*nodes, helper.make_node("Abs", [other], ["y"])]), (1, 8, 6, 10))
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_values_that_lie_apart_in_memory_are_read_right():
    net = pytest.importorskip("qcore_ncnn.net", reason="needs ncnn")
    from qcore_ncnn.format import NcnnModel

    layers, blobs = written(View(graph([node("Neg")], shape=(1, 3, 640, 640))))
    loaded = net.Net(NcnnModel(layers, blobs), "test")
    for _ in range(4):
        picture = weight(640, 640, 3)
        assert np.array_equal(loaded.run({"x": picture.transpose(2, 0, 1)}, ["y"])["y"], -picture.transpose(2, 0, 1))


REFUSED = {
    "Gelu": ([node("Gelu")], {}),
    "auto_pad SAME_UPPER": ([node("Conv", "x w", auto_pad="SAME_UPPER")], {"w": weight(4, 8, 3, 3)}),
    "moves the batch": ([node("Transpose", perm=[1, 0, 2, 3])], {}),
    "in steps": ([node("Slice", "x s e a t")], {"s": [0], "e": [6], "a": [2], "t": [2]}),
    "no batch of 1": ([node("Reshape", "x s", "r"), node("Abs", "r")], {"s": np.array([2, 4, 60])}),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_ncnn_cannot_run_is_named(fault):
    nodes, constants = REFUSED[fault]
    proto = graph(nodes, **constants)
    with pytest.raises(FileError, match=fault):
        written(View(proto))
    ((name, why), *_) = faults(View(proto))
    assert name.startswith("a ")
    assert fault in why


def test_a_dynamic_batch_runs_one_by_one_and_a_fixed_one_is_refused():
    proto = graph([node("Relu")], shape=("batch", 3, 4, 4))
    assert written(View(single(proto)))[1] == {"x": "x", "y": "y"}
    with pytest.raises(FileError, match="batch of 4"):
        single(graph([node("Relu")], shape=(4, 3, 4, 4)))


def rounded(kind, weights, **said):
    """A graph with int8 around 0 before one weighted operation."""
    axis = 0 if kind == "Conv" or said.get("transB") else 1
    steps = np.abs(weights).max(axis=tuple(each for each in range(weights.ndim) if each != axis)) / 127
    shape = [-1 if each == axis else 1 for each in range(weights.ndim)]
    nodes = [
        node("QuantizeLinear", "r s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        helper.make_node("DequantizeLinear", ["w", "t", "u"], ["v"], axis=axis),
        node(kind, "d v b", **said),
    ]
    constants = {
        "s": np.float32(6 / 127),
        "z": np.int8(0),
        "w": np.rint(weights / steps.reshape(shape)).astype(np.int8),
        "t": steps.astype(np.float32),
        "u": np.zeros(len(steps), np.int8),
        "b": weight(len(steps)),
    }
    return nodes, constants


@pytest.mark.parametrize(
    ("kind", "weights", "said", "layer"),
    [
        ("Conv", weight(5, 8, 3, 3), {"pads": [1, 1, 1, 1]}, "Convolution"),
        ("Conv", weight(8, 1, 3, 3), {"group": 8, "pads": [1, 1, 1, 1]}, "ConvolutionDepthWise"),
        ("Gemm", weight(7, 480), {"transB": 1}, "InnerProduct"),
        ("Gemm", weight(480, 7), {}, "InnerProduct"),
    ],
)
def test_an_int8_layer_computes_what_the_graph_says(kind, weights, said, layer):
    nodes, constants = rounded(kind, weights, **said)
    first = node("Reshape", "x rows", "r") if kind == "Gemm" else node("Identity", "x", "r")
    proto = graph([first, *nodes], **({"rows": np.array([1, 480])} if kind == "Gemm" else {}), **constants)
    (made,) = [each for each in written(View(proto))[0] if each.kind == layer]
    assert made.is_integer
    assert made.weights[0].dtype == np.int8
    got, wanted = computed(proto, (1, 8, 6, 10))
    step = float(constants["s"]) * np.abs(weights).max()
    assert np.abs(got - wanted).mean() < 1e-4 * np.abs(wanted).max()
    assert np.abs(got - wanted).max() < 2 * step  # where a value lies between two steps, and is rounded to the other


def test_groups_that_are_not_depthwise_stay_float_with_the_weights_of_the_file():
    nodes, constants = rounded("Conv", weight(6, 4, 1, 1), group=2)
    proto = graph([node("Identity", "x", "r"), *nodes], **constants)
    assert not any(layer.is_integer for layer in written(View(proto))[0])
    got, wanted = computed(proto, (1, 8, 6, 10))
    assert np.abs(got - wanted).max() < 0.05 * np.abs(wanted).max()
