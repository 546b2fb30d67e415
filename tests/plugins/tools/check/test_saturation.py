"""What a CPU without VNNI makes of integer sums, in files of both formats; and IR layers that are no integers."""

from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
from openvino import opset13 as ops

from qcore.plugin import Form
from qcore_kit import machine
from qcore_kit.checks import Subject
from qcore_plugins.runtimes.openvino.rules_ir import FloatWeightsIr
from qcore_plugins.tools.check import checking
from qcore_plugins.tools.check.rules.saturation import SaturatingSums

WIDE, NARROW = 100, 50


def signs(shape):
    """Of neighbouring weights, one positive and one negative: no pair of products can exceed anything."""
    made = np.ones(shape, np.int8)
    made[:, 1::2] = -1
    return made


def hits(content, target, cpu="avx2", samples=(), rule=SaturatingSums):
    kind = "onnx" if isinstance(content, onnx.ModelProto) else "openvino"
    subject = Subject(Path("file"), kind, content, Form(kind), None, (), (), target, cpu, samples)
    return [(one.severity, one.where, one.message) for one in rule().check(subject)]


def warned(content, target, **settings):
    return [(severity, where) for severity, where, _ in hits(content, target, **settings) if severity != "info"]


@pytest.fixture
def chain(graph):
    """Two quantized convolutions, each result quantized: the weights of both, and the zero point between."""

    def make(first, second, point=10, float_weights=False):
        g = graph(np.uint8, 0)

        def convolution(x, name, values):
            scale, zero = (
                g.store(f"{name}_ws", np.full(8, 0.01, np.float32)),
                g.store(f"{name}_wz", np.zeros(8, np.int8)),
            )
            stored = g.store(f"{name}.weight", np.asarray(values, np.float32) * np.float32(0.01))
            if float_weights:
                integers = g.node("QuantizeLinear", [stored, scale, zero], f"{name}_q", axis=0)
            else:
                integers = g.store(f"{name}.weight_quantized", np.asarray(values, np.int8))
            weight = g.node("DequantizeLinear", [integers, scale, zero], f"{name}_d", axis=0)
            return g.quantized(g.node("Conv", [x, weight], name), 0.1, point)

        y = convolution(g.quantized("x", 1 / 255, 0), "one", first)
        y = convolution(y, "two", second)
        g.decode(g.conv(y, "last", real=True))
        return g.model()

    return make


FULL, SMALL, MIXED = np.full((8, 8, 1, 1), WIDE), np.full((8, 8, 1, 1), NARROW), signs((8, 8, 1, 1)) * WIDE
RUNTIMES = ("onnxruntime", "openvino")


@pytest.mark.parametrize("target", RUNTIMES)
@pytest.mark.parametrize("float_weights", [False, True])
def test_a_first_layer_that_saturates(chain, target, float_weights):
    assert warned(chain(FULL, SMALL, 10, float_weights), target) == [("warning", "one")]
    for healthy in (SMALL, MIXED):
        assert hits(chain(healthy, SMALL, 10, float_weights), target) == []


@pytest.mark.parametrize("target", RUNTIMES)
def test_zero_points_near_128(chain, target):
    assert warned(chain(SMALL, FULL, 128), target) == [("warning", "")]
    assert "1 of 2 layers read values with a zero point near 128: two" in hits(chain(SMALL, FULL, 128), target)[0][2]
    assert warned(chain(SMALL, FULL, 10), target) == []
    assert "1 of 2 layers can saturate" in hits(chain(SMALL, FULL, 10), target)[0][2]
    assert hits(chain(SMALL, MIXED, 128), target) == []


def test_the_severity_depends_on_the_cpu(chain, monkeypatch):
    model = chain(FULL, SMALL)
    assert hits(model, "openvino", cpu="vnni") == []
    for kind, severity in (("avx2", "warning"), ("vnni", "info"), ("amx", "info"), (None, "info")):
        monkeypatch.setattr(machine, "kind", lambda _=None, kind=kind: kind)
        assert hits(model, "openvino", cpu="this")[0][:2] == (severity, "one")
        assert hits(model, "openvino", cpu="avx2")[0][0] == "warning"


@pytest.mark.parametrize("target", RUNTIMES)
@pytest.mark.parametrize(
    ("brightness", "severity"),
    [(1.0, "error"), (0.6, None)],  # 153 * 100 * 2 is within 16 bits
)
def test_with_data_the_layers_that_lose_are_named(chain, target, brightness, severity):
    bright = ({"x": np.full((1, 8, 8, 8), brightness, np.float32)},)
    named = warned(chain(FULL, SMALL), target, samples=bright)
    assert named == ([(severity, "one")] if severity else [])
    told = hits(chain(FULL, SMALL), target, samples=bright)
    assert "1 of 2 layers can saturate; on 1 inputs one has the lowest" in told[-1][2]
    if severity:
        assert "its sums have a signal-to-noise ratio of 8.9 dB" in told[0][2]  # 32767 of 51000


def test_a_convolution_that_onnxruntime_computes_in_float_saturates_on_openvino_only(graph):
    g = graph(np.uint8, 0)
    g.decode(g.conv(g.quantized("x", 1 / 255, 0), "c"))
    model = g.model()
    assert hits(model, "onnxruntime") == []
    assert warned(model, "openvino") == [("warning", "c")]


# OpenVINO files


def fake(value, low, high, levels=256):
    return ops.fake_quantize(value, *(np.array(end, np.float32) for end in (low, high, low, high)), levels)


def stored(values):
    """Int8 weights as NNCF compresses them."""
    integers = ops.constant(np.asarray(values, np.int8), name="one.weight_quantized")
    return ops.multiply(ops.convert(integers, np.float32), np.full((len(values), 1, 1, 1), 0.01, np.float32))


def rounded(values):
    """Float weights behind a FakeQuantize, as older tools leave them."""
    return fake(ops.constant(np.asarray(values, np.float32) * np.float32(0.01)), -1.27, 1.27, 255)


def plain(values):
    return ops.constant(np.asarray(values, np.float32) * np.float32(0.01))


def ir(first, second=None, low=0.0, quantized_input=True, more=True):
    x = ops.parameter([1, 8, 8, 8], np.float32)
    y = fake(x, low, 1.0) if quantized_input else x
    settings = ([1, 1], [0, 0], [0, 0], [1, 1])
    y = ops.convolution(y, first, *settings)
    if more:
        y = ops.convolution(fake(y, 0.0, 8.0), stored(SMALL) if second is None else second, *settings)
    return openvino.Model([y], [x])


@pytest.mark.parametrize("weights", [stored, rounded])
def test_an_openvino_file_whose_first_layer_saturates(weights):
    assert [severity for severity, _ in warned(ir(weights(FULL)), "openvino")] == ["warning"]
    for healthy in (SMALL, MIXED):
        assert warned(ir(weights(healthy)), "openvino") == []


def test_zero_points_near_128_in_an_openvino_file():
    second = stored(FULL)
    x = ops.parameter([1, 8, 8, 8], np.float32)
    for low, severities in ((-8.0, ["warning"]), (0.0, [])):
        settings = ([1, 1], [0, 0], [0, 0], [1, 1])
        y = ops.convolution(fake(x, 0, 1), stored(SMALL), *settings)
        model = openvino.Model([ops.convolution(fake(y, low, 8.0), second, *settings)], [x])
        assert [severity for severity, _ in warned(model, "openvino")] == severities


@pytest.mark.parametrize("weights", [stored, rounded])
def test_with_data_layers_of_openvino_files_are_named(weights):
    for brightness, severities in ((1.0, ["error"]), (0.6, [])):
        model = ir(weights(FULL))
        model.inputs[0].set_names({"x"})
        bright = ({"x": np.full((1, 8, 8, 8), brightness, np.float32)},)
        assert [severity for severity, _ in warned(model, "openvino", samples=bright)] == severities


def test_layers_of_openvino_files_that_are_no_integers():
    def asked(model):
        return [
            (severity, message.partition(": ")[2])
            for severity, _, message in hits(model, "openvino", rule=FloatWeightsIr)
        ]

    assert asked(ir(plain(SMALL))) == [("warning", "float weights on a quantized input, runs in float")]
    assert asked(ir(plain(SMALL), quantized_input=False)) == [("info", "float weights and input, runs in float")]
    assert asked(ir(rounded(SMALL))) == [("info", "float weights behind a FakeQuantize")]
    assert asked(ir(stored(SMALL))) == []
    assert asked(ir(stored(SMALL), plain(SMALL))) == []  # the last layer
    assert asked(ir(plain(SMALL), plain(SMALL))) == []  # a float file


def test_what_is_said_to_run_in_float_does():
    kinds = {}
    for weights in (plain, stored, rounded):
        compiled = openvino.Core().compile_model(ir(weights(SMALL)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        first = next(
            op for op in compiled.get_runtime_model().get_ordered_ops() if "conv" in op.get_friendly_name().lower()
        )
        kinds[weights] = str(first.get_rt_info()["runtimePrecision"].astype(str))
    assert (kinds[plain], kinds[stored], kinds[rounded]) == ("f32", "u8", "u8")


def test_a_file_is_checked_for_its_runtimes_only(chain, host, tmp_path):
    onnx.save(chain(FULL, SMALL), tmp_path / "model.onnx")
    for target, asked in (("onnxruntime", True), ("openvino", True), ("tensorrt", False)):
        report = checking.check(tmp_path / "model.onnx", target, plugins=host, cpu="avx2")
        assert ("QDQ006" in report.asked) == asked
