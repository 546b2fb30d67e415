"""How many layers run in integers, as the compiled model tells; and what `quantize` makes of it."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import qcore
from qcore.plugin import BackendSpec, CheckFailed, Form, Model
from qcore_kit.abilities import Executed
from qcore_kit.verification.parity import Parity
from qcore_plugins.commands import proving


def graph(output_too):
    """A convolution of 8 bits, which ONNX Runtime computes in integers only if its output is quantized too."""
    rng = np.random.default_rng(0)
    stored = {
        "scale": np.float32(0.02),
        "zero": np.uint8(0),
        "weight": rng.integers(-127, 128, (8, 8, 3, 3)).astype(np.int8),
        "weight_scale": np.full(8, 0.01, np.float32),
        "weight_zero": np.zeros(8, np.int8),
        "out_scale": np.float32(0.1),
        "out_zero": np.uint8(128),
        "plain": rng.normal(0, 0.1, (3, 3, 8, 8)).astype(np.float32),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node("DequantizeLinear", ["weight", "weight_scale", "weight_zero"], ["w"], axis=0),
        helper.make_node("Conv", ["d", "w"], ["first"], "conv_int8", pads=[1] * 4),
    ]
    if output_too:
        nodes += [
            helper.make_node("QuantizeLinear", ["first", "out_scale", "out_zero"], ["fq"]),
            helper.make_node("DequantizeLinear", ["fq", "out_scale", "out_zero"], ["fd"]),
        ]
    nodes += [
        helper.make_node("Transpose", ["plain"], ["turned"], perm=[3, 2, 0, 1]),
        helper.make_node("Relu", ["fd" if output_too else "first"], ["r"]),
        helper.make_node("Conv", ["r", "turned"], ["y"], "conv_float", pads=[1] * 4),
    ]
    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, 16, 16]) for name in "xy"]
    made = helper.make_graph(
        nodes, "g", sides[:1], sides[1:], [numpy_helper.from_array(np.asarray(v), k) for k, v in stored.items()]
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(("output_too", "integer"), [(True, 1), (False, 0)])
def test_onnx_runtimes_optimized_graph_tells(output_too, integer):
    import onnxruntime

    from qcore_plugins.runtimes.onnxruntime.executed import executed

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    said = executed(graph(output_too).SerializeToString(), settings)
    assert (said.layers, said.integer) == (2, integer)
    assert len(said.floats) == 2 - integer
    assert settings.optimized_model_filepath == ""


def test_openvinos_compiled_model_tells():
    import openvino

    from qcore_plugins.runtimes.openvino.executed import executed

    made = openvino.Core().read_model(graph(output_too=True).SerializeToString())
    said = executed(openvino.Core().compile_model(made, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}))
    assert (said.layers, said.integer) == (2, 1)
    assert said.floats == ("y",)


def model(profile=None, quantized=10):
    rows = tuple({"layer": str(place), "quantized": "yes"} for place in range(quantized))
    return Model(Form("onnx", encoding="qdq", activation="u8", profile=profile), None, None, layers=rows)


def parity(integer, layers=12):
    return Parity("onnxruntime", 24, "the same", {}, executed=Executed(layers, integer, ("a", "b")))


def test_a_file_of_which_nothing_runs_in_integers_is_refused_and_one_of_which_little_does_warned_of():
    with pytest.raises(CheckFailed, match="none of the 12 layers with weights runs in integers on onnxruntime"):
        proving._require_integers(parity(0), model())
    proving._require_integers(parity(0), model(quantized=0))
    assert "10 of 12 layers with weights run in integers on onnxruntime" in proving.told([parity(10)], model())
    assert not proving.slow(parity(10), model())
    assert (
        "10 layers were quantized, but 5 run in integers on onnxruntime; in float: a, b"
        in proving.told([parity(5)], model())[-1]
    )


@pytest.mark.parametrize(
    ("profile", "own"), [("openvino", "openvino"), ("tensorrt", "tensorrt"), (None, "onnxruntime")]
)
def test_a_file_is_for_the_runtime_of_its_profile_whatever_the_backend(profile, own):
    asked = qcore.plugins.get(BackendSpec, "onnxruntime")
    assert proving.runtime(model(profile), asked, qcore.recipe("none.onnx").start()).name == own
