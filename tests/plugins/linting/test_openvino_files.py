"""OpenVINO files: what NNCF puts where it should not, and that our own files have none of it."""

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

import qcore
from qcore import checking


def fake(value, low, high):
    ends = [np.array(end, np.float32) for end in (low, high, low, high)]
    return ops.fake_quantize(value, *ends, 256)


def silu(fault):
    x = ops.parameter([1, 4, 8, 8], np.float32)
    y = ops.convolution(x, np.ones((4, 4, 1, 1), np.float32), [1, 1], [0, 0], [0, 0], [1, 1])
    gate = ops.sigmoid(y)
    return openvino.Model([ops.multiply(y, fake(gate, 0, 1) if fault else gate)], [x])


def joined(fault):
    x = ops.parameter([1, 4, 8, 8], np.float32)
    boxes, scores = ops.split(x, 1, 2).outputs()
    both = ops.concat([ops.multiply(boxes, np.float32(8)), ops.sigmoid(scores)], 1)
    return openvino.Model([fake(both, 0, 640 if fault else 1)], [x])


@pytest.fixture
def found(host, tmp_path):
    def ask(model):
        openvino.save_model(model, tmp_path / "model.xml", compress_to_fp16=False)
        return checking.check(tmp_path / "model.xml", "openvino", plugins=host).findings

    return ask


@pytest.mark.parametrize(("rule", "severity", "make"), [("OV101", "warning", silu), ("OV102", "error", joined)])
def test_what_is_planted_is_found_and_nothing_else(found, rule, severity, make):
    (hit,) = [one for one in found(make(True)) if one.rule == rule]
    assert hit.severity == severity
    assert hit.where
    assert hit.why
    assert [one for one in found(make(False)) if one.rule.startswith("OV")] == []


@pytest.mark.parametrize("quantizer", ["nncf", "onnxruntime", None])
def test_our_own_files_are_clean(exported, pictures, host, tmp_path, quantizer):
    pipeline = qcore.pipeline(weights=exported).to("openvino")
    if quantizer:
        pipeline = pipeline.quantize(quantizer, calibration=pictures / "images", limit=2)
    report = checking.check(pipeline.save(tmp_path), "openvino", plugins=host)
    assert report.format == "openvino"
    assert {"OV101", "CON002"} <= set(report.asked)
    with pytest.raises(qcore.UsageError, match="a openvino file, what can be judged for tensorrt is onnx"):
        checking.check(report.path, "tensorrt", plugins=host)
    assert [one for one in report.findings if one.severity != "info"] == []
