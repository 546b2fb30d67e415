import pytest

from qcore import Host
from qcore.plugin import BackendSpec, ConverterSpec, Form, MissingDependency, NoRoute, QuantizerSpec, Requirement
from qcore.workflow.planner import find

TORCH = Form("torch", encoding="float", precision="f32")


@pytest.fixture(scope="module")
def plugins():
    return Host()


def route(plugins, quantizer, backend, **more):
    plan = find(
        TORCH,
        converters=[*plugins.specs(ConverterSpec), *more.pop("converters", ())],
        quantizer=plugins.get(QuantizerSpec, quantizer) if quantizer else None,
        backend=plugins.get(BackendSpec, backend),
        **more,
    )
    return [spec.name for spec in plan.components], plan


@pytest.mark.parametrize(
    ("quantizer", "backend", "steps"),
    [
        (None, "torch", ["torch"]),
        (None, "onnxruntime", ["torch-onnx", "onnxruntime"]),
        (None, "openvino", ["torch-onnx", "onnx-openvino", "openvino"]),
        ("nncf", "openvino", ["torch-onnx", "onnx-openvino", "nncf", "openvino"]),
        ("onnxruntime", "onnxruntime", ["torch-onnx", "onnxruntime", "onnxruntime", "onnxruntime"]),
        ("onnxruntime", "openvino", ["torch-onnx", "onnxruntime", "openvino", "onnx-openvino", "openvino"]),
    ],
)
def test_each_pair_takes_its_route_and_its_own_profile(plugins, quantizer, backend, steps):
    assert route(plugins, quantizer, backend)[0] == steps


def test_a_target_overrides_the_profile(plugins):
    names, plan = route(plugins, "onnxruntime", "onnxruntime", through="openvino")
    assert "openvino" in names
    assert plan.end.profile == "openvino"


def test_without_a_route_the_answer_says_what_is_reached_and_what_is_accepted(plugins):
    with pytest.raises(NoRoute) as caught:
        route(plugins, "nncf", "onnxruntime")
    assert "openvino (native" in caught.value.message
    assert "onnx (qdq" in caught.value.message


def test_one_backend_and_one_converter_open_every_quantizer(plugins):
    backend = BackendSpec(name="tiny", summary="", factory=object, accepts=(Form("tiny"),))
    converter = ConverterSpec(
        name="onnx-tiny",
        summary="",
        factory=object,
        accepts=(Form("onnx", encoding="qdq", activation="u8"),),
        produces=Form("tiny"),
    )
    names, plan = route(plugins, "onnxruntime", backend, converters=[converter])
    assert names[-2:] == ["onnx-tiny", "tiny"]
    assert plan.end.encoding == "qdq"


def test_what_is_not_installed_is_another_error_than_no_route(plugins):
    absent = Requirement("surely_absent_module", "surely-absent")
    backend = BackendSpec(name="tiny", summary="", factory=object, accepts=(Form("onnx"),), requires=(absent,))
    _, plan = route(plugins, None, backend)
    with pytest.raises(MissingDependency, match="surely-absent is not installed") as caught:
        plan.require()
    assert caught.value.hint == "pip install 'surely-absent'"
