"""What OpenVINO is given: SiLU as one operation, a float tail, activations that it computes right."""

import numpy as np
import onnx
import openvino
import pytest
from onnx import helper, numpy_helper

import qcore
from qcore.plugin import FileError
from qcore_kit import machine
from qcore_kit.quantization.literal import literal
from qcore_kit.quantization.products import ONEDNN, Products
from qcore_kit.quantization.saturation import sums
from qcore_plugins.quantizers.nncf.graph import from_openvino
from qcore_plugins.runtimes.openvino.another import here


@pytest.fixture(scope="module")
def model(exported):
    return qcore.recipe(exported).start().model("openvino").module


def kinds(model):
    return [op.get_type_name() for op in model.get_ops()]


def test_every_silu_is_one_operation(model):
    convolutions = kinds(model).count("Convolution")
    assert kinds(model).count("Swish") == convolutions - 3  # the last one of each level has no activation
    assert kinds(model).count("Sigmoid") <= 3  # of the decode


def test_the_tail_begins_behind_the_last_convolutions(model):
    graph = from_openvino(model)
    assert len(graph.last) == 3
    behind = {node.op for node in graph.nodes if node.name in graph.tail}
    assert "Sigmoid" in behind
    assert not behind & {"Conv", "Swish", "MaxPool"}


def test_nncf_leaves_the_tail_float(exported, pictures):
    base = qcore.recipe(exported).with_backend("openvino")
    made = base.with_quantizer("nncf", calibration=pictures / "images", limit=4).start().model().module
    tail = from_openvino(base.start().model().module).tail
    quantized = [op for op in made.get_ops() if op.get_type_name() == "FakeQuantize"]
    readers = {reader.get_node().get_friendly_name() for op in quantized for reader in op.output(0).get_target_inputs()}
    assert len(quantized) > 20
    assert readers & tail == set()


def test_the_file_survives_writing_and_reading(exported, pictures, tmp_path):
    run = qcore.recipe(exported).with_backend("openvino").start()
    picture = next((pictures / "images").iterdir())
    before = run.predictor()(picture)
    after = qcore.recipe(run.save(tmp_path)).start().predictor()(picture)
    assert before.xyxy == pytest.approx(after.xyxy, abs=1e-3)
    (tmp_path / "shapes.bin").unlink()
    with pytest.raises(FileError, match=r"its weights shapes\.bin are missing"):
        qcore.load(tmp_path / "shapes.xml")


def pair(kind, point, most):
    """Conv with quantized input and weights within +-most; activations of the given integer type."""
    rng = np.random.default_rng(0)
    constants = {
        "s": np.array(0.02, np.float32), "z": np.array(point, kind),
        "w": rng.integers(-most, most, (16, 16, 3, 3)).astype(np.int8),
        "ws": np.full(16, 0.01, np.float32), "wz": np.zeros(16, np.int8),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0),
        helper.make_node("Conv", ["d", "wd"], ["y"], pads=[1, 1, 1, 1]),
    ]
    shape = [1, 16, 16, 16]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


PICTURE = np.random.default_rng(1).normal(0, 1, (1, 16, 16, 16)).astype(np.float32)


def apart(model, expected):
    """Largest difference of what OpenVINO computes, as a part of the largest value."""
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(model.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return float(np.abs(compiled(PICTURE)[0] - expected).max() / np.abs(expected).max())


def test_openvino_computes_uint8_activations_right():
    """On every CPU, where sums cannot saturate."""
    model = pair(np.uint8, 128, 64)
    assert apart(model, literal(model).run({"x": PICTURE})["y"]) < 0.01


def test_openvino_computes_uint8_activations_as_its_kind_of_cpu_does():
    """Exactly with VNNI; without, as the simulation says."""
    model = pair(np.uint8, 128, 127)
    weight = next(numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.name == "w")
    integers = np.clip(np.rint(PICTURE / np.float32(0.02)) + 128, 0, 255).astype(np.uint8)
    exact, saturating = sums(Products.of("Conv", weight, {"pads": [1] * 4}), integers, 128, ONEDNN)
    expected = saturating if machine.saturates(here()) else exact
    assert apart(model, (expected * 0.02 * 0.01).reshape(1, 16, 16, 16).transpose(0, 3, 1, 2)) < 0.01


def test_outputs_are_the_callers_own_and_their_memory_is_used_again(exported):
    import numpy as np

    session = qcore.predictor(exported, "openvino").session
    inputs = [np.full((1, 3, 416, 416), value, np.float32) for value in (0.2, 0.8)]
    (first,) = session.run({"images": inputs[0]}).values()
    view, kept = first[:, :1], first.copy()
    (second,) = session.run({"images": inputs[1]}).values()
    assert not np.array_equal(second, kept)
    assert np.array_equal(first, kept)
    del first
    session.run({"images": inputs[1]})
    assert np.array_equal(view, kept[:, :1])
    places = set()
    for _ in range(4):
        places.add(next(iter(session.run({"images": inputs[0]}).values())).ctypes.data)
    assert len(places) == 1


def test_the_weights_of_another_run_are_refused(checkpoint, exported, tmp_path):
    """Another .bin of the same layout would give other numbers without a word."""
    one, other = (
        qcore.recipe(file).start().save(tmp_path / name, to="openvino")
        for file, name in ((exported, "one"), (checkpoint, "other"))
    )
    assert qcore.load(one).contract.task == "detection"
    weights = bytearray(other.with_suffix(".bin").read_bytes())
    weights[len(weights) // 2] ^= 1
    one.with_suffix(".bin").write_bytes(weights)
    with pytest.raises(FileError, match=r"shapes\.xml: shapes\.bin holds the weights of another file") as caught:
        qcore.load(one)
    assert caught.value.hint == "copy both files again, from one run"
