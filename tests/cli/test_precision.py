"""`--precision fp16`, and the options of converters as flags."""

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import qcore
from qcore.plugin import UsageError


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_float16_is_half_as_large_and_finds_the_same(run, exported, pictures, tmp_path, backend):
    goal = {"onnxruntime": "onnx", "openvino": "openvino"}[backend]
    code, out, err = run("export", exported, "--to", goal, "--precision", "fp16", "-o", tmp_path, "--json")
    assert code == 0, err
    made = json.loads(out)
    assert made["bytes"] < 0.7 * exported.stat().st_size
    assert "f16" in json.loads(run("inspect", made["file"], "--json")[1])["form"]
    float_ = qcore.predictor(exported, "onnxruntime")
    halved = qcore.predictor(made["file"], backend)
    compared = 0
    for one, other in zip(float_.stream(pictures / "images"), halved.stream(pictures / "images"), strict=True):
        assert len(one) == len(other)
        np.testing.assert_allclose(one.xyxy, other.xyxy, atol=0.5)
        np.testing.assert_allclose(one.confidence, other.confidence, atol=0.01)
        compared += len(one)
    assert compared > 10


def test_the_file_says_what_it_computes_in_and_takes_float32(run, exported, tmp_path):
    run("export", exported, "--to", "onnx", "--precision", "fp16", "-o", tmp_path)
    made = tmp_path / exported.name
    graph = onnx.load(made).graph
    single = onnx.TensorProto.FLOAT
    assert {value.type.tensor_type.elem_type for value in [*graph.input, *graph.output]} == {single}
    convolved = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    kinds = {tensor.data_type for tensor in graph.initializer if tensor.name in convolved}
    assert onnx.TensorProto.FLOAT16 in kinds
    _, out, _ = run("inspect", made, "--json")
    assert "f16" in json.loads(out)["form"]


def test_a_float16_file_computes_in_float32_again_with_the_weights_it_has(run, exported, tmp_path):
    run("export", exported, "--to", "onnx", "--precision", "fp16", "-o", tmp_path)
    half, back = tmp_path / exported.name, tmp_path / "b" / exported.name
    code, _, err = run("export", half, "--to", "onnx", "--precision", "fp32", "-o", back.parent)
    assert code == 0, err
    assert qcore.load(back).form.precision == "f32"
    rounded = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(half).graph.initializer}
    again = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(back).graph.initializer}
    weights = [name for name, value in rounded.items() if value.dtype == np.float16 and value.ndim == 4]
    assert weights
    for name in weights:
        assert again[name].dtype == np.float32
        assert np.array_equal(again[name], rounded[name].astype(np.float32))


def test_options_of_converters_are_flags_of_the_commands_that_convert(run, exported, tmp_path):
    code, out, _ = run("export", "--help")
    assert code == 0
    assert "--compute-capability" in out
    assert "(onnx-tensorrt)" in out
    code, _, err = run("export", exported, "--to", "onnx", "--workspace", "64", "-o", tmp_path)
    assert code == 2
    assert "--workspace: not used by any step of this conversion" in err
    code, _, err = run("export", exported, "--to", "tensorrt", "--workspace", "much", "-o", tmp_path)
    assert code == 2
    assert "workspace" in err
    assert not list(tmp_path.iterdir())


def test_a_script_sets_them_by_name(exported):
    with pytest.raises(UsageError, match="no converter has an option speed"):
        qcore.recipe(exported).with_conversion(speed=3).start()
