"""OpenVINO files: what NNCF puts where it should not, and that our own files have none of it."""

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

import qcore
from qcore.plugin import UsageError
from qcore_plugins.tools.check import checking


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


def pooled(fault):
    x = ops.parameter([1, 4, 8, 8], np.float32)
    pool = ops.avg_pool(fake(x, -1 if fault else 0, 6), [1, 1], [1, 1], [1, 1], [3, 3], False)
    return openvino.Model([fake(pool, 0, 6)], [x])


@pytest.fixture
def found(host, tmp_path):
    def ask(model):
        openvino.save_model(model, tmp_path / "model.xml", compress_to_fp16=False)
        return checking.check(tmp_path / "model.xml", "openvino", plugins=host).findings

    return ask


PLANTED = [("OV101", "warning", silu), ("OV102", "error", joined), ("OV104", "error", pooled)]


@pytest.mark.parametrize(("rule", "severity", "make"), PLANTED)
def test_what_is_planted_is_found_and_nothing_else(found, rule, severity, make):
    (hit,) = [one for one in found(make(True)) if one.rule == rule]
    assert hit.severity == severity
    assert hit.where
    assert hit.why
    assert [one for one in found(make(False)) if one.rule.startswith("OV")] == []


@pytest.mark.parametrize(("ends", "exclude", "pads", "right"), [
    ((-1, 6), False, 1, False), ((-6.35, 6.35), False, 1, False),
    ((0, 6), False, 1, True), ((-6.4, 6.35), False, 1, True), ((-1, 6), True, 1, True), ((-1, 6), False, 0, True),
])  # fmt: skip
def test_openvino_really_pads_with_another_value(found, ends, exclude, pads, right):
    """The rule OV104 stands as long as this does: with and without its transformation to integers."""
    x = ops.parameter([1, 4, 8, 8], np.float32)
    pool = ops.avg_pool(fake(x, *ends), [1, 1], [pads, pads], [pads, pads], [3, 3], exclude)
    model = openvino.Model([fake(pool, *ends)], [x])
    given, results = np.random.default_rng(0).uniform(-1, 6, (1, 4, 8, 8)).astype(np.float32), []
    for mode in ({}, {"LP_TRANSFORMS_MODE": "NO"}):
        compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", **mode})
        results.append(next(iter(compiled(given).values())))
    assert (np.abs(results[0] - results[1]).max() < 0.1) == right
    assert [one.rule for one in found(model) if one.rule == "OV104"] == ([] if right else ["OV104"])


@pytest.mark.parametrize("quantizer", ["nncf", "onnxruntime", None])
def test_our_own_files_are_clean(exported, pictures, host, tmp_path, quantizer):
    recipe = qcore.recipe(exported).with_backend("openvino")
    if quantizer:
        recipe = recipe.with_quantizer(quantizer, calibration=pictures / "images", limit=2)
    report = checking.check(recipe.start().save(tmp_path), "openvino", plugins=host)
    assert report.format == "openvino"
    assert {"OV101", "CON002"} <= set(report.asked)
    with pytest.raises(UsageError, match="cannot check openvino files for tensorrt; supported formats: onnx"):
        checking.check(report.path, "tensorrt", plugins=host)
    assert [one for one in report.findings if one.severity != "info"] == []
