"""Backends that answer for a CPU that is not this one: with saturating sums, or without."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import qcore
from qcore.plugin import Contract, Form, Model, Step, Tensor, UsageError
from qcore_kit import machine
from qcore_plugins.runtimes.onnxruntime.backend import EXACT, OnnxRuntimeBackend
from qcore_plugins.runtimes.openvino import another
from qcore_plugins.runtimes.openvino.backend import OpenVinoBackend

FLOAT = onnx.TensorProto.FLOAT
CHANNELS = 16


def contract(shape):
    given, made = (Tensor(name, "float32", shape) for name in ("x", "out"))
    pre, post = Step("letterbox", {}), Step("yolo", {})
    return Contract(task="detection", inputs=(given,), outputs=(made,), preprocess=pre, postprocess=post)


def quantized(weight, op="Conv", kind=np.uint8, result=True):
    """One operation on an input of 0..1 with one and the same int8 weight everywhere, and the input's shape."""
    point = 0 if kind is np.uint8 else -128
    shape = (1, CHANNELS, 6, 6) if op == "Conv" else (4, CHANNELS)
    sizes = (CHANNELS, CHANNELS, 3, 3) if op == "Conv" else (CHANNELS, CHANNELS)
    constants = {
        "s": np.float32(1 / 255), "z": np.array(point, kind), "w": np.full(sizes, weight, np.int8),
        "ws": np.float32(0.01), "wz": np.int8(0), "os": np.float32(1), "oz": np.array(point, kind),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"]),
        helper.make_node(op, ["d", "wd"], ["y" if result else "out"], **({"pads": [1] * 4} if op == "Conv" else {})),
    ]
    if result:
        nodes += [
            helper.make_node("QuantizeLinear", ["y", "os", "oz"], ["yq"]),
            helper.make_node("DequantizeLinear", ["yq", "os", "oz"], ["out"]),
        ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", FLOAT, shape)],
        [helper.make_tensor_value_info("out", FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return Model(Form("onnx", encoding="qdq", activation="u8", precision="f32"), proto, contract(shape)), shape


def on_onnxruntime(model, shape, **options):
    session = OnnxRuntimeBackend().compile(model, options=options)
    return session, session.run({"x": np.ones(shape, np.float32)})["out"]


@pytest.mark.parametrize("op", ["Conv", "MatMul"])
@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_onnxruntime_without_vnni_loses_what_two_products_exceed_16_bits_by(op, kind):
    """White everywhere and weights of 120: a pair is 61200, of which 32767 is left."""
    model, shape = quantized(120, op, kind)
    _, exact = on_onnxruntime(model, shape, cpu="vnni")
    session, saturated = on_onnxruntime(model, shape, cpu="avx2")
    assert session.cpu == "avx2"
    middle = (0, 0, 3, 3) if op == "Conv" else (0, 0)
    assert exact[middle] == pytest.approx(CHANNELS * (9 if op == "Conv" else 1) * 1.2, abs=1)
    assert saturated[middle] / exact[middle] == pytest.approx(32767 / 61200, abs=0.01)


def test_what_cannot_saturate_is_the_same_on_every_cpu():
    for model, shape in (quantized(64), quantized(120, result=False)):  # the second convolves in float
        assert np.array_equal(on_onnxruntime(model, shape, cpu="avx2")[1], on_onnxruntime(model, shape, cpu="vnni")[1])


def test_float_files_do_not_depend_on_the_cpu():
    model, shape = quantized(120)
    plain = model.evolve(form=Form("onnx", encoding="float", precision="f32"))
    assert on_onnxruntime(plain, shape, cpu="avx2")[0].executed_precision == "f32"


def test_integer_operators_are_refused_where_another_cpu_is_asked_for(monkeypatch):
    monkeypatch.setattr(machine, "kind", lambda _=None: "vnni")
    model, _ = quantized(120)
    model.module.graph.node[3].op_type = "QLinearConv"
    with pytest.raises(UsageError, match="cannot compute QLinearConv as on a CPU without VNNI"):
        OnnxRuntimeBackend().compile(model, options={"cpu": "avx2"})


@pytest.mark.parametrize(
    ("options", "kind", "entry"),
    [
        ({"x64quantprecision": True}, "vnni", "1"),
        ({"x64quantprecision": True, "cpu": "avx2"}, "vnni", "1"),
        ({"cpu": "vnni"}, "avx2", "1"),
        ({"cpu": "vnni"}, "vnni", None),
        ({}, "avx2", None),
    ],
)
def test_exact_sums_are_a_setting_of_the_session(monkeypatch, options, kind, entry):
    monkeypatch.setattr(machine, "kind", lambda _=None: kind)
    model, shape = quantized(120)
    session, result = on_onnxruntime(model, shape, **options)
    settings = session._session.get_session_options()
    if entry is None:
        with pytest.raises(Exception, match=EXACT):
            settings.get_session_config_entry(EXACT)
    else:
        assert settings.get_session_config_entry(EXACT) == entry
        assert session.cpu == "vnni"
        assert result[0, 0, 3, 3] == pytest.approx(CHANNELS * 9 * 1.2, abs=1)


def as_openvino(model):
    import openvino

    read = openvino.Core().read_model(model.module.SerializeToString())
    return Model(Form("openvino", encoding="qdq", activation="u8"), read, model.contract)


@pytest.mark.skipif(machine.kind() is None, reason="oneDNN's masks are for x86 CPUs")
def test_openvino_without_vnni_runs_in_a_process_of_its_own():
    model, shape = quantized(120, result=False)
    session = OpenVinoBackend().compile(as_openvino(model), options={"cpu": "avx2"})
    given = {"x": np.ones(shape, np.float32)}
    once, again = session.run(given)["out"], session.run(given)["out"]
    assert session.cpu == "avx2"
    assert np.array_equal(once, again)
    assert once[0, 0, 3, 3] / (CHANNELS * 9 * 1.2) == pytest.approx(32767 / 61200, abs=0.01)


def test_openvino_cannot_add_vnni_to_a_cpu(monkeypatch):
    monkeypatch.delenv(another.VARIABLE, raising=False)
    monkeypatch.setattr(machine, "kind", lambda _=None: "avx2")
    with pytest.raises(qcore.errors.MissingDevice, match="as a CPU with VNNI on a CPU without it"):
        another.mask("vnni")
    assert another.mask("avx2") is None
    monkeypatch.setattr(machine, "kind", lambda _=None: "amx")
    assert (another.mask("vnni"), another.mask("avx2")) == ("AVX512_CORE_VNNI", "AVX2")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(qcore.errors.MissingDevice, match="on aarch64"):
        another.mask("avx2")


def test_instructions_that_the_environment_masks_count(monkeypatch):
    monkeypatch.setattr(machine, "kind", lambda _=None: "vnni")
    monkeypatch.setenv(another.VARIABLE, "AVX512_CORE")
    assert another.here() == "avx2"
    monkeypatch.setenv(another.VARIABLE, "AVX512_CORE_VNNI")
    assert another.here() == "vnni"


@pytest.mark.parametrize("where", ["onnxruntime", "openvino"])
def test_probes_measure_what_sums_lose(where):
    """White, 120 and 16 channels: 32767 of each 61200 are left, 6.7 dB."""
    from qcore_plugins.runtimes.onnxruntime.probe import OnnxInside
    from qcore_plugins.runtimes.openvino.probe import OpenVinoInside

    for weight, ratio in ((120, pytest.approx(6.7, abs=0.1)), (64, None)):
        model, shape = quantized(weight)
        inside = OnnxInside(model.module) if where == "onnxruntime" else OpenVinoInside(as_openvino(model).module)
        found = inside.saturation([{"x": np.ones(shape, np.float32)}], where)
        assert list(found.values()) == ([] if ratio is None else [ratio])
        assert inside.saturation([], "tensorrt") == {}
