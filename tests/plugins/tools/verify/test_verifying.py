"""Every converter's result runs beside what it was made from before a file is written."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import qcore
from qcore.plugin import CheckFailed, FileError
from qcore_kit.quantization.qdq import QdqConverter
from qcore_plugins.formats.onnx.fp16 import OnnxToFp16
from qcore_plugins.processing.boxes.suppression import AppendNms


@pytest.fixture(scope="module")
def small(checkpoint, tmp_path_factory):
    """The demo's detector at a small size."""
    return qcore.recipe(checkpoint, imgsz=64).start().save(tmp_path_factory.mktemp("small"), to="onnx")


@pytest.fixture(scope="module")
def table(small, pictures, tmp_path_factory):
    made = qcore.recipe(small).with_quantizer("onnxruntime", calibration=pictures / "images", limit=2)
    return made.start().save(tmp_path_factory.mktemp("table"), to="table")


def changed(proto, name, how):
    """A copy with the initializers of a name changed."""
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    for tensor in made.graph.initializer:
        if name in tensor.name:
            tensor.CopyFrom(numpy_helper.from_array(how(numpy_helper.to_array(tensor)), tensor.name))
    return made


def spoilt(monkeypatch, converter, name, how):
    real = converter.convert

    def convert(self, model, **more):
        made = real(self, model, **more)
        return made.evolve(module=changed(made.module, name, how))

    monkeypatch.setattr(converter, "convert", convert)


def test_right_results_are_written(small, table, tmp_path):
    recipe = qcore.recipe(small)
    assert recipe.with_head("nms").start().save(tmp_path / "nms", to="openvino").exists()
    assert recipe.with_precision("f16").start().save(tmp_path / "half", to="onnx").exists()
    assert qcore.recipe(table).with_backend("openvino").start().save(tmp_path / "int8").exists()


def test_a_wrong_float16_file_is_refused(small, tmp_path, monkeypatch):
    spoilt(monkeypatch, OnnxToFp16, "model.24.m.0.weight", lambda value: value[::-1].copy())
    with pytest.raises(CheckFailed, match=r"converter onnx-fp16: .* expected of half models"):
        qcore.recipe(small).with_precision("f16").start().save(tmp_path, to="onnx")
    assert not list(tmp_path.iterdir())


def smaller(value):
    return np.asarray(value * 0.2, np.float32) if value.dtype == np.float32 and not value.shape else value


def test_a_wrong_suppression_is_refused(small, tmp_path, monkeypatch):
    """Its threshold, and half the sides of its boxes."""
    spoilt(monkeypatch, AppendNms, "nms_constant", smaller)
    with pytest.raises(CheckFailed, match="converter onnx-nms: "):
        qcore.recipe(small).with_head("nms").start().save(tmp_path, to="onnx")


def test_a_graph_that_its_runtime_does_not_load_is_refused(small, tmp_path, monkeypatch):
    spoilt(monkeypatch, AppendNms, "nms_constant", lambda value: value.astype(np.float64))
    with pytest.raises(FileError, match="ONNX Runtime refuses it"):
        qcore.recipe(small).with_head("nms").start().save(tmp_path, to="onnx")


def test_a_wrong_openvino_model_is_refused(small, tmp_path, monkeypatch):
    """Swish with a factor of 2 is not SiLU."""
    from openvino import opset13

    plain = opset13.swish
    monkeypatch.setattr(opset13, "swish", lambda x, _: plain(x, opset13.constant(2.0, x.get_element_type())))
    with pytest.raises(CheckFailed, match=r"converter onnx-openvino: .* expected of float models"):
        qcore.recipe(small).start().save(tmp_path, to="openvino")


@pytest.mark.parametrize("name", ["model.0.conv.weight_scale", "model.23.m.0.cv2.conv.weight_scale"])
def test_wrong_scales_are_refused(table, tmp_path, monkeypatch, name):
    spoilt(monkeypatch, QdqConverter, name, lambda value: value * np.float32(30))
    with pytest.raises(CheckFailed, match=r"profile onnxruntime: .*raw outputs: "):
        qcore.recipe(table).with_backend("onnxruntime").start().save(tmp_path)
