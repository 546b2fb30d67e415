"""Verdicts of the last two steps of `qcore compare`."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from qcore_kit.boxes.detections import Detections
from qcore_plugins.tasks.detection.comparison import DetectionComparison

MODEL = SimpleNamespace(classes=("a", "b"))
PICTURE = np.zeros((100, 100, 3), np.uint8)


def found(confidences, seed=0, kinds=None):
    corner = np.random.default_rng(seed).permutation(900)[: len(confidences), None] * np.float32([100, 100])
    boxes = np.concatenate((corner, corner + 50), 1).astype(np.float32)
    kinds = np.zeros(len(confidences), np.int64) if kinds is None else np.array(kinds)
    return Detections(boxes, np.array(confidences, np.float32), kinds, MODEL.classes)


def judged(*pairs):
    comparison = DetectionComparison(MODEL, MODEL, "pictures")
    for place, (one, other) in enumerate(pairs):
        comparison.add(place, f"{place}.jpg", PICTURE, one, other)
    step = next(comparison.rungs())
    return step.verdict, [cause.name for cause in step.causes]


@pytest.mark.parametrize("after", np.linspace(0.52, 0.58, 23))
def test_one_box_whose_confidence_moved_is_no_failure(after):
    assert judged((found([0.55]), found([after]))) == ("pass", [])


def test_a_class_that_changed_in_a_picture_of_two_is_no_failure():
    assert judged((found([0.9, 0.5]), found([0.9, 0.5], kinds=[0, 1])))[0] == "pass"


@pytest.mark.parametrize("count", [2, 3, 4, 40])
def test_finding_nothing_of_what_was_there_is_a_failure(count):
    assert judged((found([0.8] * count), found([]))) == ("fail", ["boxes lost or gained"])


def test_a_few_of_many_may_be_lost():
    many = found([0.8] * 200)
    assert judged((many, found([0.8] * 192))) == ("pass", [])
    assert judged((many, found([0.8] * 160)))[0] == "fail"


def test_confidences_that_move():
    many = np.linspace(0.4, 0.9, 50)
    assert judged((found(many), found(many - 0.04))) == ("fail", ["confidences lower"])
    scattered = many + np.where(np.arange(50) % 2, 0.09, -0.09)
    assert judged((found(many), found(scattered))) == ("fail", ["confidences scattered"])
    assert judged((found([0.8]), found([0.3]))) == ("fail", ["confidences lower"])


def test_where_neither_finds_anything_nothing_was_compared():
    assert judged((found([]), found([])), (found([0.1]), found([]))) == ("note", ["nothing found"])


def labelled(tmp_path, count, kind=0):
    """Step `accuracy` on pictures in each of which the reference finds a box, and the candidate one beside it."""
    box = [10, 10, 40, 40]
    (tmp_path / "images").mkdir()
    names = [f"{place}.png" for place in range(count)]
    for name in names:
        cv2.imwrite(str(tmp_path / "images" / name), PICTURE)
    document = tmp_path / "instances.json"
    said = {
        "images": [{"id": place, "file_name": name} for place, name in enumerate(names)],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": [{"image_id": place, "category_id": 1 + kind, "bbox": box} for place in range(count)],
    }
    document.write_text(json.dumps(said))
    comparison = DetectionComparison(MODEL, MODEL, document)
    for place, item in enumerate(comparison.items):
        right, wrong = (
            Detections(np.float32([[left, 10, left + 40, 50]]), np.float32([0.9]), np.array([0]), MODEL.classes)
            for left in (10, 20)
        )
        comparison.add(place, item, PICTURE, right, wrong)
    return list(comparison.rungs())[1]


def test_a_loss_in_a_few_pictures_is_not_judged(tmp_path):
    step = labelled(tmp_path, 3)
    assert (step.verdict, step.summary[:19]) == ("none", "3 labelled pictures")


def test_a_loss_in_enough_pictures_fails(tmp_path):
    step = labelled(tmp_path, 12)
    assert (step.verdict, [cause.name for cause in step.causes]) == ("fail", ["AP lost"])


def test_labels_that_are_not_the_models_are_told(tmp_path):
    step = labelled(tmp_path, 12, kind=1)
    assert (step.verdict, [cause.name for cause in step.causes]) == ("note", ["REF finds nothing right"])


def test_labelled_pictures_that_are_not_there_are_still_inputs(tmp_path):
    """So that they are named as skipped, as `qcore eval` does."""
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "0.png"), PICTURE)
    document = tmp_path / "instances.json"
    document.write_text(
        '{"images": [{"id": 1, "file_name": "0.png"}, {"id": 2, "file_name": "1.png"}],'
        ' "categories": [{"id": 1, "name": "a"}], "annotations": []}'
    )
    assert [item.name for item in DetectionComparison(MODEL, MODEL, document).items] == ["0.png", "1.png"]
