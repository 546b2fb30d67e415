"""Real weights of YOLOv9: a model trained with ultralytics, and one that exists only as an ONNX file."""

import pytest

import qcore
from qcore.plugin import Judge

pytestmark = [pytest.mark.assets, pytest.mark.slow]


def measure(run, data, **options):
    detector = run.vary(run.recipe.with_protocol("upstream")).predictor()
    return Judge(qcore.plugins, data, options).evaluation(detector).figures


def test_volleyball(shared, tmp_path):
    """Frames stored stretched to 640x640, true aspect 16:9."""
    folder = shared / "assets" / "volleyball"
    data = tmp_path / "val.yaml"
    data.write_text(f"path: {folder}\nval: val/images\nnames: [ball]\n")
    weights = shared / "assets" / "weights" / "yolov9t-volleyball-ultralytics.pt"
    base = qcore.recipe(weights, imgsz=(384, 640)).with_preprocess(picture_aspect=16 / 9)
    run = base.start()
    plain = measure(run.vary(base.with_backend("openvino")), data)
    assert plain["images"] == 114
    assert plain["AP50"] > 0.72
    stretched = measure(qcore.recipe(weights).with_backend("torch").start(), data)
    assert stretched["AP50"] < plain["AP50"] - 0.1
    calibration = folder / "calib" / "images"
    small = base.with_quantizer("nncf", calibration=calibration, preset="performance").with_backend("openvino")
    assert measure(run.vary(small), data)["AP50"] >= plain["AP50"] - 0.01


def test_a_detector_that_is_only_an_onnx_file(shared, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("\n".join(["body", *(f"part{index}" for index in range(1, 25))]))
    base = qcore.recipe(
        shared / "assets" / "weights" / "yolov9n-wholebody25-480x640.onnx",
        "onnx",
        input="output_prep",
        output="output0",
        names=str(names),
    )
    data = shared / "assets" / "coco-val" / "instances.json"
    run = base.start()
    plain = measure(run, data, classes={"body": "person"})
    assert plain["classes"] == 1
    assert plain["AP"] > 0.34
    calibration = shared / "assets" / "coco-calib" / "images"
    small = base.with_quantizer("onnxruntime", calibration=calibration, limit=128).with_backend("onnxruntime")
    assert measure(run.vary(small), data, classes={"body": "person"})["AP"] > plain["AP"] - 0.01
