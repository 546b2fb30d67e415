"""That the CPU is named where saturating sums explain a difference, and only there."""

from types import SimpleNamespace

import pytest

import qcore
from qcore.plugin import CheckFailed, Form, hookimpl
from qcore_kit.comparison import saturation
from qcore_kit.comparison.rung import Cause, Rung
from qcore_kit.kinds import ProbeSpec
from qcore_plugins.tools.compare import ladder

BAD = {"model.0.conv": 8.7, "model.4.conv": 33.0}


def test_the_cause_names_the_cpu_and_the_worst_layers():
    assert saturation.cause({}) is None
    cause = saturation.cause(BAD, "CANDIDATE")
    assert cause.name == "saturating sums: model.0.conv"
    assert cause.text.startswith("CANDIDATE ran as on a CPU without VNNI")
    assert "model.0.conv (8.7 dB), model.4.conv (33.0 dB)" in cause.text
    assert "-q saturation=selective" in cause.hint
    assert "x64quantprecision=true" in cause.hint
    many = saturation.cause({f"layer{place}": float(place) for place in range(5)})
    assert many.text.endswith("layer2 (2.0 dB) and 2 more layers")


class Looking:
    """A probe whose layers lose."""

    def open(self, _):
        return SimpleNamespace(saturation=lambda inputs, backend: {**BAD, "fine": 60.0} if inputs and backend else {})


@pytest.fixture
def plugins():
    class Plugin:
        @staticmethod
        @hookimpl
        def qcore_probes():
            yield ProbeSpec(name="looking", summary="", factory=Looking, accepts=(Form("onnx"),))

    made = qcore.Host(entry_points=False)
    made.register(Plugin)
    return made


@pytest.mark.parametrize(("cpu", "format_", "named"), [
    ("avx2", "onnx", True), ("vnni", "onnx", False), ("amx", "onnx", False), (None, "onnx", False),
    ("avx2", "other", False),
])  # fmt: skip
def test_layers_are_looked_for_where_the_session_ran_without_vnni(plugins, cpu, format_, named):
    model, session = SimpleNamespace(form=Form(format_)), SimpleNamespace(cpu=cpu)
    found = saturation.lossy(model, session, "onnxruntime", [{}], plugins=plugins)
    assert list(found) == (["model.0.conv", "model.4.conv"] if named else [])


def test_a_session_that_does_not_tell_its_cpu_saturates_nothing(plugins):
    model = SimpleNamespace(form=Form("onnx"))
    assert saturation.lossy(model, SimpleNamespace(), "tensorrt", [{}], plugins=plugins) == {}


PASSED = Rung("inside the graph", "pass", "lowest ratio 17 dB")
STRONG, VAGUE = Cause("range too small", ""), Cause("behind the last layers", "")


@pytest.mark.parametrize(("layers", "before", "after"), [
    (BAD, [VAGUE], ["saturating sums: model.0.conv"]),
    (BAD, [STRONG, VAGUE], ["saturating sums: model.0.conv", "range too small"]),
    ({"a": 33.0}, [STRONG], ["range too small", "saturating sums: a"]),
    ({"a": 33.0}, [Cause("first layer that differs: a", "")], ["saturating sums: a"]),
    ({}, [VAGUE], ["behind the last layers"]),
])  # fmt: skip
def test_causes_that_say_where_give_way_to_the_one_that_says_why(monkeypatch, layers, before, after):
    monkeypatch.setattr(saturation, "lossy", lambda *_, **__: layers)
    rungs = ladder._saturated([Rung("raw tensors", "fail", "", before), PASSED], side(), ["tensor"])
    assert [cause.name for cause in rungs[0].causes] == after
    assert rungs[1] == PASSED


def test_sums_that_are_wrong_are_noted_where_these_inputs_do_not_show_it(monkeypatch):
    rungs = [Rung("raw tensors", "pass", ""), PASSED, Rung("detections", "pass", "")]
    for layers, verdict in ((BAD, "note"), ({"a": 33.0}, "pass"), ({}, "pass")):
        monkeypatch.setattr(saturation, "lossy", lambda *_, layers=layers, **__: layers)
        made = ladder._saturated(rungs, side(), ["tensor"])
        assert [rung.verdict for rung in made] == ["pass", verdict, "pass"]
    assert made == rungs


def side():
    predictor = SimpleNamespace(session=None, backend="onnxruntime")
    run = SimpleNamespace(host=None)
    return SimpleNamespace(predictor=predictor, run=run, model=None, fed=lambda _: {}, contract=None)


@pytest.fixture(autouse=True)
def taken(monkeypatch):
    monkeypatch.setattr(ladder, "takes", lambda *_: True)


def test_parity_names_them_too(monkeypatch):
    """And its hint says what to run."""
    tensor = SimpleNamespace(name="x", shape=(1, 3, 8, 8), batch=0)
    model = SimpleNamespace(contract=SimpleNamespace(inputs=[tensor]))
    reading = SimpleNamespace(read=lambda item: item)
    running = SimpleNamespace(session=None, backend="openvino", preprocessor=reading, prepare=lambda *_: ({}, []))
    error = CheckFailed("boxes are lost", hint="nothing was written; --exclude")
    monkeypatch.setattr(saturation, "lossy", lambda *_, **__: BAD)
    told = saturation.explaining(error, model, running, ["a", "b"], plugins=None)
    assert told.message.startswith("boxes are lost; the file ran as on a CPU without VNNI")
    assert "model.0.conv (8.7 dB)" in told.message
    assert told.hint.startswith("nothing was written; quantize with -q saturation=selective")
    monkeypatch.setattr(saturation, "lossy", lambda *_, **__: {})
    assert saturation.explaining(error, model, running, ["a"], plugins=None) is error
