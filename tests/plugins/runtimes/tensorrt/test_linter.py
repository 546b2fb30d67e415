"""TensorRT as a judge, behind the rules."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

import qcore
from qcore.cli import main

pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx")


@pytest.fixture
def planted(exported, pictures, tmp_path):
    """A file for TensorRT with one activation in uint8."""
    made = qcore.recipe(exported).with_quantizer("onnxruntime", calibration=pictures / "images", limit=4)
    good = made.with_backend("tensorrt").plan()
    assert good.legs[-1].spec.name == "onnx-tensorrt"
    path = made.start().save(tmp_path / "good", to=good.legs[-1].source)
    model = onnx.load(path)
    pair = [node for node in model.graph.node if node.op_type == "QuantizeLinear"][3]
    point = numpy_helper.from_array(np.array(128, np.uint8), "planted")
    model.graph.initializer.append(point)
    for node in model.graph.node:
        if node.name in (pair.name, pair.name.replace("_quantize", "_dequantize")):
            node.input[2] = "planted"
    bad = tmp_path / "planted.onnx"
    onnx.save(model, bad)
    assert point.data_type == TensorProto.UINT8
    return path, bad, pair.name


def test_what_qcore_writes_for_tensorrt_is_built(planted, capsys):
    assert main(["check", str(planted[0]), "--target", "tensorrt", "--json"]) == 0
    assert not [found for found in json.loads(capsys.readouterr().out)["findings"] if found["severity"] == "error"]


def test_a_refused_file_shows_the_rule_first_and_then_what_the_builder_says(planted, capsys):
    _, bad, node = planted
    assert main(["check", str(bad), "--target", "tensorrt", "--json"]) == 1
    errors = [found for found in json.loads(capsys.readouterr().out)["findings"] if found["severity"] == "error"]
    rules = [found["rule"] for found in errors]
    assert rules[0].startswith("TRT0")
    assert rules[-1] == "TRT900"
    assert node in errors[0]["where"]
    assert errors[-1]["where"] == node
    assert "tensorrt_rtx" in errors[-1]["message"]
    assert main(["check", str(bad), "--target", "tensorrt"]) == 1
    shown = capsys.readouterr().out
    assert 0 <= shown.index(rules[0]) < shown.index("TRT900")
