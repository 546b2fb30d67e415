"""Which network an exported file is: recognised by its graph and its numbers, or refused by its name."""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import qcore
from qcore.plugin import AssumptionWarning, FileError, QcoreError, UsageError

sys.path.insert(0, str(Path(__file__).parent))

from nets import STRIDES, Net, anchored, apart, deepstream, end_to_end, joined, yolox


def load(model, folder, **options):
    path = folder / "net.onnx"
    onnx.save(model, path)
    with pytest.warns(AssumptionWarning):
        return qcore.load(path, loader="onnx", **options)


def refused(model, folder, kind=FileError, **options):
    path = folder / "net.onnx"
    onnx.save(model, path)
    with pytest.raises(kind) as caught:
        qcore.load(path, loader="onnx", **options)
    return caught.value


CASES = {
    "yolov8": (joined, "yolov9", "boxes-classes", {}),
    "yolov8, transposed": (lambda: joined(rows=True), "yolov9", "boxes-classes-rows", {}),
    "yolo26 before selecting": (lambda: joined(corners=True), "yolo26", "corners-classes", {}),
    "the same, transposed": (lambda: joined(rows=True, corners=True), "yolo26", "corners-classes-rows", {}),
    "yolov5": (anchored, "yolov5", "boxes-objectness-classes", {}),
    "yolov5, four anchors": (lambda: anchored(anchors=4), "yolov5", "boxes-objectness-classes", {}),
    "yolov5, five anchors": (lambda: anchored(1, anchors=5), "yolov5", "boxes-objectness-classes", {}),
    "yolov5, one class, certain": (lambda: anchored(1, certain=1), "yolov5", "boxes-objectness-classes", {}),
    "yolov8, as many values as cells": (lambda: joined(80), "yolov9", "boxes-classes", {}),
    "yolov5, one class": (lambda: anchored(1), "yolov5", "boxes-objectness-classes", {}),
    "yolox": (yolox, "yolox", "boxes-objectness-classes", {}),
    "yolox, one class": (lambda: yolox(1), "yolox", "boxes-objectness-classes", {}),
    "deepstream, yolov8": (deepstream, "deepstream", "corners-score-class", {"classes": 3}),
    "deepstream, one class": (lambda: deepstream(classes=1), "deepstream", "corners-score-class", {"classes": 1}),
    "deepstream, yolov5": (lambda: deepstream(anchored), "deepstream", "corners-score-class", {"classes": 3}),
    "end to end": (end_to_end, "yolov10", "corners-score-class", {"classes": 3}),
}


@pytest.mark.parametrize("kind", CASES)
def test_heads_are_recognised_and_read_right(kind, tmp_path):
    make, family, meaning, attributes = CASES[kind]
    net, out = make()
    model = load(net.model(out), tmp_path)
    (output,) = model.contract.outputs
    assert (model.contract.provenance["family"], output.meaning) == (family, meaning)
    assert dict(output.attributes) == attributes
    picture = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)
    recipe = qcore.recipe(tmp_path / "net.onnx", "onnx").with_parameters(postprocess={"confidence": 0.5, "iou": 1.0})
    found = recipe.start().begun_at(model).predictor()(picture)
    expected = by_hand(tmp_path / "net.onnx", picture, meaning, model.contract.preprocess.params)
    assert len(found) == len(expected) > 0
    for box, score, label in zip(found.xyxy, found.confidence, found.class_id, strict=True):
        assert any(
            label == kind and abs(score - value) < 1e-4 and np.abs(box - np.clip(place, 0, 64)).max() < 1e-3
            for place, value, kind in expected
        )


def by_hand(path, picture, meaning, pixels):
    """Boxes, scores and classes above .5, from plain ONNX Runtime; the picture has the input's size."""
    x = picture.transpose(2, 0, 1)[None].astype(np.float32)
    x = (x[:, ::-1] if pixels["channels"] == "RGB" else x) * np.float32(pixels["scale"] or 1)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    y = session.run(None, {"images": np.ascontiguousarray(x, np.float32)})[0][0]
    y = y.T if meaning in ("boxes-classes", "corners-classes") else y
    if meaning == "corners-score-class":
        rows = [(row[:4], row[4], int(row[5])) for row in y]
    else:
        boxes = y[:, :4]
        if not meaning.startswith("corners"):
            boxes = np.concatenate((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), 1)
        scores = y[:, 5:] * y[:, 4:5] if "objectness" in meaning else y[:, 4:]
        rows = [(box, score.max(), int(score.argmax())) for box, score in zip(boxes, scores, strict=True)]
    return [row for row in rows if row[1] > 0.5]


def test_two_outputs_are_yolo_nas_or_a_cut_of_yolo26(tmp_path):
    for softmax, family, classes in ((True, "yolonas", 3), (False, "yolo26", 3), (True, "yolonas", 4)):
        net, boxes, scores = apart(classes, softmax=softmax)
        contract = load(net.model(scores, boxes), tmp_path).contract
        assert contract.provenance["family"] == family
        assert {tensor.name: tensor.meaning for tensor in contract.outputs} == {boxes: "boxes", scores: "scores"}
        assert contract.preprocess.params["fit_within"] is None  # 636 belongs to inputs of 640
    net, boxes, scores = apart(net=Net((384, 640)))
    assert load(net.model(scores, boxes), tmp_path).contract.preprocess.params["fit_within"] is None


def maps(*channels, strides=(8,)):
    net = Net()
    return net, [net.level(stride, width) for stride in strides for width in channels]


def rows(*widths, strides=STRIDES, each=True):
    net = Net()
    made = []
    for width in widths:
        if each:
            for stride, count in zip(strides, net.cells(strides), strict=True):
                flat = net.op("Reshape", net.level(stride, width), np.array([1, width, count]))
                made.append(net.op("Transpose", flat, perm=[0, 2, 1]))
        else:
            made.append(net.op("Transpose", net.values(width, strides), perm=[0, 2, 1]))
    return net, made


UNSUPPORTED = {
    "CenterNet": lambda: maps(1, 2, 2, 10),
    "probability map": lambda: maps(1),
    "raw levels of a YOLO head": lambda: maps(67, strides=STRIDES),
    "GFL": lambda: rows(10, 32, strides=(8, 16, 32, 64)),
    "MediaPipe": lambda: rows(1, 16, strides=(8, 16)),
    "SCRFD": lambda: rows(1, 4, 10),
    "RetinaFace": lambda: rows(4, 2, 10, each=False),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_is_not_supported_is_refused_by_its_name(name, tmp_path):
    net, outputs = UNSUPPORTED[name]()
    error = refused(net.model(*outputs), tmp_path)
    assert name in error.message
    assert str(tmp_path / "net.onnx") in error.message
    assert "family" not in error.hint


def test_undecoded_heads_are_refused(tmp_path):
    net, out = yolox(decoded=False)
    error = refused(net.model(out), tmp_path)
    assert "YOLOX whose boxes are not decoded" in error.message
    assert "decode_in_inference" in error.hint
    net, out = yolox(1, decoded=False)
    assert "YOLOX whose boxes are not decoded" in refused(net.model(out), tmp_path).message


@pytest.mark.parametrize(("factor", "named"), [(1 / 8, "boxes are in cells"), (1 / 64, "shares of the picture")])
def test_boxes_in_other_units_are_refused(factor, named, tmp_path):
    net = Net()
    boxes = net.op("Mul", net.centred((8,)), np.float32(factor))
    whole = net.op("Concat", boxes, net.scores(3, (8,)), axis=1)
    assert named in refused(net.model(whole), tmp_path).message


def test_levels_may_come_in_either_order(tmp_path):
    """Darknet's descendants give the largest cells first."""
    for strides in ((32, 16, 8), (4, 8, 16, 32, 64), (4,)):
        net = Net((128, 128))
        whole = net.op("Concat", net.centred(strides), net.scores(3, strides), axis=1)
        assert load(net.model(whole), tmp_path).contract.outputs[0].meaning == "boxes-classes"


def test_chosen_boxes_are_in_no_cells_place(tmp_path):
    """300 boxes of which none is found, at a size that has as many cells of 32 pixels."""
    net, out = end_to_end(kept=300, net=Net((480, 640)))
    nothing = net.op("Mul", out, np.array([1, 1, 1, 1, 0, 0], np.float32))
    assert load(net.model(nothing), tmp_path).contract.provenance["family"] == "yolov10"


def test_an_output_without_a_batch_is_named(tmp_path):
    for net, out in (anchored(net=Net((192, 192))), joined(net=Net((320, 320)))):
        error = refused(net.model(net.op("Squeeze", out, np.array([0]))), tmp_path)
        assert "no axis for the batch" in error.message


def test_logits_are_refused(tmp_path):
    net = Net()
    whole = net.op("Concat", net.centred(), net.values(3, scale=5.0), axis=1)
    assert "expected 0 to 1" in refused(net.model(whole), tmp_path).message


def test_a_detr_is_refused(tmp_path):
    net, whole = joined()
    some = net.op("Slice", net.op("Transpose", whole, perm=[0, 2, 1]), np.array([0]), np.array([25]), np.array([1]))
    shares = net.op("Sigmoid", some)
    assert "DETR" in refused(net.model(shares), tmp_path).message
    boxes, kinds = net.part(shares, 0, 4, 2), net.part(shares, 4, 7, 2)
    assert "DETR" in refused(net.model(kinds, boxes), tmp_path).message


@pytest.mark.parametrize("family", ["yolov5", "yolov9", "yolonas", "yolox"])
def test_a_stated_family_is_checked_against_the_network(family, tmp_path):
    """Corners, score and class, read as what they are not: confidences above 1, sizes that are corners."""
    net, out = deepstream(anchored, classes=1)
    error = refused(net.model(out), tmp_path, kind=QcoreError, family=family)
    assert family in error.message or family in (error.hint or "") or "export has" in error.message


def test_a_stated_family_that_fits_is_taken(tmp_path):
    net, out = yolox()
    contract = load(net.model(out), tmp_path, family="yolov5").contract
    assert contract.provenance["family"] == "yolov5"
    assert contract.preprocess.params["channels"] == "RGB"


def test_the_number_of_names_decides_between_two_readings(tmp_path):
    """Rows of seven values whose convolutions do not tell: the classes come out of one that is shared."""
    net = Net()
    raw = net.op("Concat", net.centred(), net.op("Sigmoid", net.part(net.values(9), 0, 3)), axis=1)
    model = net.model(net.op("Transpose", raw, perm=[0, 2, 1]))
    error = refused(model, tmp_path, kind=UsageError)
    assert "3 classes, or objectness and 2 classes" in error.message
    for names, meaning in (("a\nb\nc\n", "boxes-classes-rows"), ("a\nb\n", "boxes-objectness-classes")):
        (tmp_path / "names.txt").write_text(names)
        contract = load(model, tmp_path, names=str(tmp_path / "names.txt")).contract
        assert contract.outputs[0].meaning == meaning
        assert list(contract.classes) == names.split()


def test_a_detector_with_nms_in_its_graph_is_refused_with_the_cut_that_helps(tmp_path):
    net, out = joined()
    rows_ = net.op("Reshape", net.part(net.op("Transpose", out, perm=[0, 2, 1]), 0, 5), np.array([5, 7]))
    error = refused(net.model(rows_), tmp_path)
    assert "NMS in the graph" in error.message
    assert "output=TENSOR" in error.hint
    load(net.model(rows_), tmp_path, output=out)
