"""Suppression equals upstream's; every meaning of outputs is read as it says."""

import numpy as np
import pytest

from qcore.plugin import Tensor, UsageError
from qcore_plugins.processing.boxes.nms import suppress
from qcore_plugins.processing.boxes.postprocessor import Yolo
from qcore_plugins.processing.letterbox.fitting import Geometry

OBJECTNESS = [Tensor("out", "float32", (1, 2, 7), None, "boxes-objectness-classes", "decoded")]
NAS = [
    Tensor("boxes", "float32", (1, 2, 4), None, "boxes", "decoded"),
    Tensor("scores", "float32", (1, 2, 2), None, "scores", "decoded"),
]
SAME = Geometry((640, 640), (640, 640), (0, 0), (640, 640))


def ordered(rows):
    return rows[np.lexsort((rows[:, 0], rows[:, 5], -rows[:, 4]))]


@pytest.mark.assets
@pytest.mark.parametrize("picture", ["bus", "zidane", "horses"])
@pytest.mark.parametrize(
    ("case", "params"),
    [
        ("detect", {"confidence": 0.25, "iou": 0.45, "max_detections": 1000}),
        ("val", {"confidence": 0.001, "iou": 0.6, "max_detections": 300, "multi_label": True}),
        ("agnostic", {"confidence": 0.1, "iou": 0.45, "max_detections": 300, "class_agnostic": True}),
    ],
)
def test_yolov5_suppression_is_upstreams(shared, picture, case, params):
    stored = np.load(shared / "reference" / "nms" / f"{picture}.yolov5.npz")
    found = Yolo(params, OBJECTNESS, ())({"out": stored["raw"]}, [Everywhere()])[0]
    assert np.array_equal(ordered(rows(found)), ordered(stored[case]))


@pytest.mark.assets
@pytest.mark.parametrize(("case", "confidence", "iou"), [("default", 0.25, 0.7), ("custom", 0.5, 0.65)])
def test_yolonas_suppression_is_upstreams(shared, case, confidence, iou):
    stored = np.load(shared / "reference" / "nms" / "synthetic.yolonas.npz")
    params = {"confidence": confidence, "iou": iou, "max_detections": 300, "max_candidates": 1024, "multi_label": True}
    found = Yolo(params, NAS, ())({"boxes": stored["boxes"], "scores": stored["scores"]}, [Everywhere()])[0]
    assert np.array_equal(ordered(rows(found)), ordered(stored[case]))


class Everywhere:
    """A geometry that changes nothing."""

    def to_picture(self, boxes):
        return boxes

    def clip(self, boxes):
        return boxes


def rows(found):
    return np.concatenate((found.xyxy, found.confidence[:, None], found.class_id[:, None]), 1).astype(np.float32)


def one_box(values):
    return np.array([[values, [0] * len(values)]], np.float32)


@pytest.mark.parametrize(
    ("outputs", "given"),
    [
        (OBJECTNESS, {"out": one_box([100, 60, 40, 20, 0.5, 0.1, 0.8])}),
        (
            [Tensor("out", "float32", (1, 6, 2), None, "boxes-classes", "decoded")],
            {"out": one_box([100, 60, 40, 20, 0.05, 0.4]).transpose(0, 2, 1)},
        ),
        (NAS, {"boxes": one_box([80, 50, 120, 70]), "scores": one_box([0.05, 0.4])}),
        (NAS[::-1], {"boxes": one_box([80, 50, 120, 70]), "scores": one_box([0.05, 0.4])}),
    ],
    ids=["objectness", "classes", "apart", "apart-reversed"],
)
def test_each_meaning_gives_the_same_detection(outputs, given):
    found = Yolo({"confidence": 0.25}, outputs, ("cat", "dog"))(given, [SAME])[0]
    assert found.xyxy.tolist() == [[80, 50, 120, 70]]
    assert found.confidence.tolist() == pytest.approx([0.4])
    assert [name for _, _, name in found] == ["dog"]


def test_raw_levels_are_decoded_as_the_formula_says():
    """A single cell: logit 0 is the middle of the cell and the size of the anchor."""
    level = Tensor(
        "p3", "float32", (1, 1, 2, 2, 7), None, "boxes-objectness-classes", "raw",
        {"stride": 8, "anchors": [[10, 20]]},
    )  # fmt: skip
    logits = np.full((1, 1, 2, 2, 7), -20, np.float32)
    logits[0, 0, 1, 0] = [0, 0, 0, 0, 20, -20, 20]
    found = Yolo({}, [level], ("cat", "dog"))({"p3": logits}, [SAME])[0]
    assert found.xyxy[0].tolist() == pytest.approx([0.0, 2.0, 9.0, 22.0])  # centre 4, 12, clipped at the left edge
    assert found.class_id.tolist() == [1]


def test_boxes_are_mapped_into_the_picture_and_clipped():
    geometry = Geometry((100, 200), (320, 640), (160, 0), (640, 640))
    given = one_box([320, 320, 800, 64, 1, 0, 1])
    assert Yolo({}, OBJECTNESS, ())({"out": given}, [geometry])[0].xyxy.tolist() == [[0, 40, 200, 60]]


def test_boxes_without_area_suppress_nothing():
    boxes = np.array([[5, 5, 5, 5], [5, 5, 5, 5], [0, 0, 10, 10]], np.float32)
    assert suppress(boxes, np.array([0.9, 0.8, 0.7]), None, 0.5, 10).tolist() == [0, 1, 2]


def test_the_limit_takes_the_best():
    boxes = np.array([[i * 10, 0, i * 10 + 5, 5] for i in range(6)], np.float32)
    scores = np.array([0.1, 0.9, 0.3, 0.8, 0.2, 0.7])
    assert suppress(boxes, scores, None, 0.5, 3).tolist() == [1, 3, 5]


def test_nothing_found_is_an_empty_result():
    found = Yolo({}, OBJECTNESS, ())({"out": np.zeros((1, 2, 7), np.float32)}, [SAME])[0]
    assert len(found) == 0
    assert found.xyxy.shape == (0, 4)
    assert found.records() == []


def test_what_is_not_understood_is_refused():
    with pytest.raises(UsageError, match="no parameter conf"):
        Yolo({"conf": 0.5}, OBJECTNESS, ())
    with pytest.raises(UsageError, match=r"confidence 1\.5 is not between 0 and 1"):
        Yolo({"confidence": 1.5}, OBJECTNESS, ())
    with pytest.raises(UsageError, match=r"does not know these outputs: mask \(masks, decoded\)"):
        Yolo({}, [Tensor("mask", "float32", (1, 2), None, "masks", "decoded")], ())
