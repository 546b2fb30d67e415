"""Real weights of YOLOv9: a model trained with ultralytics, and one that exists only as an ONNX file."""

import pytest

import qcore
from qcore.plugin import EvaluatorSpec, Silent

pytestmark = [pytest.mark.assets, pytest.mark.slow]


def measure(pipeline, data, **options):
    detector = pipeline.following("upstream").build()
    evaluator = qcore.plugins.get(EvaluatorSpec, "detection").create()
    settings = {"images": None, "classes": None, "progress": Silent(), **options}
    return evaluator.evaluate(detector, data, **settings)


def test_volleyball(shared, tmp_path):
    """Frames stored stretched to 640x640, true aspect 16:9."""
    folder = shared / "assets" / "volleyball"
    data = tmp_path / "val.yaml"
    data.write_text(f"path: {folder}\nval: val/images\nnames: [ball]\n")
    weights = shared / "assets" / "weights" / "yolov9t-volleyball-ultralytics.pt"
    base = qcore.pipeline(weights=weights, imgsz=(384, 640)).preprocessed(picture_aspect=16 / 9).at("onnx")
    plain = measure(base.to("openvino"), data)
    assert plain["images"] == 114
    assert plain["AP50"] > 0.72
    stretched = measure(qcore.pipeline(weights=weights).to("torch"), data)
    assert stretched["AP50"] < plain["AP50"] - 0.1
    calibration = folder / "calib" / "images"
    small = base.quantize("nncf", calibration=calibration, preset="performance").to("openvino")
    assert measure(small, data)["AP50"] >= plain["AP50"] - 0.01


def test_a_detector_that_is_only_an_onnx_file(shared, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("\n".join(["body", *(f"part{index}" for index in range(1, 25))]))
    base = qcore.pipeline(
        "onnx",
        weights=shared / "assets" / "weights" / "yolov9n-wholebody25-480x640.onnx",
        input="output_prep",
        output="output0",
        names=str(names),
    ).load()
    data = shared / "assets" / "coco-val" / "instances.json"
    plain = measure(base, data, classes={"body": "person"})
    assert plain["classes"] == 1
    assert plain["AP"] > 0.34
    calibration = shared / "assets" / "coco-calib" / "images"
    small = base.quantize("onnxruntime", calibration=calibration, limit=128).to("onnxruntime")
    assert measure(small, data, classes={"body": "person"})["AP"] > plain["AP"] - 0.01
