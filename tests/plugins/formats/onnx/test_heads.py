"""Raw, decoded and suppressed heads, fixed and dynamic batches: the same detections, and the contracts asked for."""

import numpy as np
import pytest
import torch

import qcore
from qcore.plugin import NoRoute, UsageError
from qcore_plugins.tools.demo import shapes


@pytest.fixture(scope="module")
def scenes():
    return [shapes.scene(21, index).picture for index in range(6)]


def same(one, other, apart=1e-3):
    assert one.class_id.tolist() == other.class_id.tolist()
    assert one.xyxy == pytest.approx(other.xyxy, abs=0.1)
    assert one.confidence == pytest.approx(other.confidence, abs=apart)


@pytest.mark.parametrize(
    ("backend", "batch"), [("onnxruntime", 1), ("onnxruntime", 3), ("onnxruntime", "dynamic"), ("openvino", "dynamic")]
)
@pytest.mark.parametrize("head", ["raw", "decoded", "nms"])
def test_every_head_and_batch_finds_the_same(checkpoint, scenes, backend, batch, head):
    options = {"batch": batch, "imgsz": (224, 256), **({} if head == "nms" else {"head": head})}
    recipe = qcore.recipe(checkpoint, **options).with_head("nms" if head == "nms" else None).with_backend(backend)
    expected = qcore.recipe(checkpoint, imgsz=(224, 256)).start().predictor()
    detector = recipe.start().predictor()
    assert detector.contract.inputs[0].shape == ("batch" if batch == "dynamic" else batch, 3, 224, 256)
    for ours, theirs in zip(detector.stream(scenes), expected.stream(scenes), strict=True):
        same(ours, theirs)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("limit", [40, 30000])
def test_suppression_in_the_graph_is_the_postprocessors(checkpoint, scenes, multi_label, limit):
    """With a low threshold, so that there is much to suppress, to limit and to fill up."""
    from dataclasses import replace

    recipe = qcore.recipe(checkpoint).with_backend("onnxruntime")
    model = recipe.start().model("onnx")
    params = {"confidence": 0.01, "multi_label": multi_label, "max_candidates": limit, "max_detections": 30}
    model = model.evolve(contract=replace(model.contract, postprocess=model.contract.postprocess.updated(params)))
    inside, outside = (each.start().begun_at(model).predictor() for each in (recipe.with_head("nms"), recipe))
    found = 0
    for ours, theirs in zip(inside.stream(scenes), outside.stream(scenes), strict=True):
        same(ours, theirs)
        found += len(ours)
    assert found > 15


def test_the_four_outputs_are_padded_with_minus_one(checkpoint):
    model = qcore.recipe(checkpoint, batch=2).with_head("nms").start().model("onnx")
    described = [(output.name, output.dtype, output.shape) for output in model.contract.outputs]
    assert described == [
        ("counts", "int64", (2, 1)), ("boxes", "float32", (2, 1000, 4)), ("scores", "float32", (2, 1000)),
        ("classes", "int64", (2, 1000)),
    ]  # fmt: skip
    import onnxruntime

    session = onnxruntime.InferenceSession(model.module.SerializeToString())
    counts, boxes, scores, classes = session.run(None, {"images": np.zeros((2, 3, 416, 416), np.float32)})
    assert [value.dtype.name for value in (counts, boxes, scores, classes)] == ["int64", "float32", "float32", "int64"]
    for row in range(2):
        rest = slice(int(counts[row, 0]), None)
        assert (boxes[row, rest] == -1).all()
        assert (scores[row, rest] == -1).all()
        assert (classes[row, rest] == -1).all()


def test_a_suppressed_file_refuses_lower_thresholds(checkpoint, tmp_path):
    file = qcore.recipe(checkpoint).with_head("nms").start().save(tmp_path, to="onnx")
    qcore.recipe(file).with_parameters(postprocess={"confidence": 0.5}).start().predictor()
    with pytest.raises(UsageError, match="NMS in this file is fixed"):
        qcore.recipe(file).with_parameters(postprocess={"confidence": 0.1}).start().predictor()


def test_a_raw_head_gets_no_suppression(checkpoint):
    with pytest.raises(NoRoute, match="needs a decoded head"):
        qcore.recipe(checkpoint, head="raw").with_head("nms").start().model("onnx")


@pytest.fixture(scope="module")
def families(checkpoint, upstream, shared, tmp_path_factory):
    """A checkpoint of each family."""
    path = tmp_path_factory.mktemp("nas") / "nas.pth"
    torch.save({"net": upstream("yolonas", "yolo_nas_s")[1]}, path)
    return {"yolov5": checkpoint, "yolov9": shared / "checkpoints" / "gelan-t-filled.pt", "yolonas": path}


@pytest.mark.assets
@pytest.mark.slow
@pytest.mark.parametrize("head", ["raw", "decoded", "nms"])
@pytest.mark.parametrize("family", ["yolov5", "yolov9", "yolonas"])
def test_quantized_and_float_exports_have_one_contract(families, scenes, family, head):
    options = {"imgsz": (96, 128), **({} if head == "nms" else {"head": head})}
    base = qcore.recipe(families[family], **options).with_head("nms" if head == "nms" else None)
    run = base.start()
    float_ = run.model("onnx")
    quantized, native = (
        run.vary(base.with_quantizer(quantizer, calibration=scenes).with_backend(backend)).model()
        for quantizer, backend in (("onnxruntime", "onnxruntime"), ("nncf", "openvino"))
    )
    assert float_.contract.provenance["family"] == family
    for other in (quantized, native):
        for part in ("task", "inputs", "outputs", "preprocess", "postprocess", "classes", "protocols"):
            assert getattr(other.contract, part) == getattr(float_.contract, part)
    described = [(output.name, output.shape) for output in float_.contract.outputs]
    for model in (float_, quantized):
        there = [
            (value.name, tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim))
            for value in model.module.graph.output
        ]
        assert there == described


@pytest.mark.assets
def test_yolonas_exports_agree_with_torch(families, shared):
    run = qcore.recipe(families["yolonas"], imgsz=(160, 192)).start()
    preprocessor = run.preprocessor()
    tensor, _ = preprocessor.fitted(preprocessor.read(shared / "assets" / "pictures" / "bus.jpg"))
    with torch.no_grad():
        expected = [value.numpy() for value in run.model("loaded").module(torch.from_numpy(tensor))]
    for backend in ("onnxruntime", "openvino"):
        got = run.vary(run.recipe.with_backend(backend)).predictor().session.run({"images": tensor})
        for name, value in zip(("boxes", "scores"), expected, strict=True):
            assert np.abs(got[name] - value).max() / np.abs(value).max() < 1e-3


@pytest.mark.assets
@pytest.mark.slow
def test_yolonas_in_int8_finds_what_it_finds_in_float(families, shared):
    """Weights by the rule give scores near .5 everywhere; the threshold lets the best through."""
    from qcore_plugins.tasks.detection.dataset import Labels
    from qcore_plugins.tasks.detection.matching import hits

    pictures = sorted((shared / "assets" / "coco-calib" / "images").iterdir())
    base = qcore.recipe(families["yolonas"], imgsz=320)
    base = base.with_parameters(postprocess={"confidence": 0.55, "multi_label": False, "class_agnostic": True})
    run = base.with_backend("onnxruntime").start()
    plain = run.predictor()
    for quantizer, backend in (("onnxruntime", "onnxruntime"), ("nncf", "openvino")):
        int8 = base.with_quantizer(quantizer, calibration=pictures[:24]).with_backend(backend)
        small = run.vary(int8).predictor()
        right = total = 0
        for ours, theirs in zip(small.stream(pictures[30:36]), plain.stream(pictures[30:36]), strict=True):
            count = len(theirs)
            area = (theirs.xyxy[:, 2:] - theirs.xyxy[:, :2]).prod(1)
            labels = Labels(theirs.xyxy.astype(np.float64), theirs.class_id, np.zeros(count, bool), area)
            right += int((hits(ours, labels) == 1).sum())
            total += count
        assert total > 20
        assert right / total > 0.9
