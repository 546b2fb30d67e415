"""Verdicts of the last two steps of `qcore compare`."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from qcore.plugin import AssumptionWarning, Contract, Step, Tensor, UsageError
from qcore_kit.boxes.detections import Detections
from qcore_plugins.tasks.detection.comparison import DetectionComparison

MODEL = Contract(
    task="detection",
    inputs=(Tensor("images", "float32", (1, 3, 100, 100), "NCHW"),),
    preprocess=Step("letterbox"),
    outputs=(),
    postprocess=Step("yolo", {"confidence": 0.25, "max_detections": 60}),
    classes=("a", "b"),
)
PICTURE = np.zeros((100, 100, 3), np.uint8)


def found(confidences, seed=0, kinds=None):
    corner = np.random.default_rng(seed).permutation(900)[: len(confidences), None] * np.float32([100, 100])
    boxes = np.concatenate((corner, corner + 50), 1).astype(np.float32)
    kinds = np.zeros(len(confidences), np.int64) if kinds is None else np.array(kinds)
    return Detections(boxes, np.array(confidences, np.float32), kinds, MODEL.classes)


def steps(data, *pairs, model=MODEL, **options):
    comparison = DetectionComparison(model, model, data, **options)
    for place, (one, other) in enumerate(pairs):
        comparison.add(place, f"{place}.jpg", PICTURE, one, other)
    return list(comparison.rungs())


def judged(*pairs):
    step = steps("pictures", *pairs)[0]
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
    assert judged((found(many), found(many - 0.04))) == ("note", ["confidences lower"])
    scattered = many + np.where(np.arange(50) % 2, 0.09, -0.09)
    assert judged((found(many), found(scattered))) == ("note", ["confidences scattered"])
    assert judged((found(many + 0.1), found(many - 0.14))) == ("fail", ["confidences lower"])
    assert judged((found([0.8]), found([0.3]))) == ("fail", ["confidences lower"])


def test_without_labels_confidences_that_move_fail_if_the_threshold_loses_boxes():
    many = np.linspace(0.255, 0.4, 50)
    step = steps("pictures", (found(many), found(many - 0.04)))[0]
    assert (step.verdict, step.causes[0].name) == ("fail", "confidences lower")
    assert "above 0.25 REF has 50 boxes, CANDIDATE 38" in step.causes[0].text
    assert "at 0.21 it has as many boxes as REF at 0.25" in step.causes[0].hint


def test_boxes_are_counted_at_the_threshold_of_the_contract():
    """Boxes close above .5 may be missing: the candidate has them below it."""
    strict = replace(MODEL, postprocess=Step("yolo", {"confidence": 0.5}))
    close = np.array([0.9] * 100 + [0.51] * 20)
    step = steps("pictures", (found(close), found(close[:100])), model=strict)[0]
    assert step.verdict == "pass"
    assert (step.figures["boxes"], step.figures["candidate_boxes"], step.figures["lost"]["0.5"]) == (120, 100, 0)


def test_where_neither_finds_anything_nothing_was_compared():
    assert judged((found([]), found([])), (found([0.1]), found([]))) == ("note", ["nothing found"])


def instances(tmp_path, boxes, kind=0):
    """A COCO json; the boxes of each of its pictures."""
    (tmp_path / "images").mkdir()
    names = [f"{place}.png" for place in range(len(boxes))]
    for name in names:
        cv2.imwrite(str(tmp_path / "images" / name), PICTURE)
    document = {
        "images": [{"id": place, "file_name": name} for place, name in enumerate(names)],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": [
            {"image_id": place, "category_id": 1 + kind, "bbox": box} for place, own in enumerate(boxes) for box in own
        ],
    }
    (tmp_path / "instances.json").write_text(json.dumps(document))
    return tmp_path / "instances.json"


GRID = [[x * 10, y * 10, 8, 8] for x in range(10) for y in range(10)]


def gridded(confidences):
    boxes = np.array(GRID[: len(confidences)], np.float32)
    boxes[:, 2:] += boxes[:, :2]
    return Detections(boxes, np.array(confidences, np.float32), np.zeros(len(boxes), np.int64), MODEL.classes)


def test_confidences_that_move_where_labels_show_that_it_costs_nothing_are_a_note(tmp_path):
    many = np.linspace(0.26, 0.9, 20)
    pairs = [(gridded(many), gridded(many - 0.05))] * 12
    step, accuracy = steps(instances(tmp_path, [GRID[:20]] * 12), *pairs)
    assert (step.verdict, [cause.name for cause in step.causes]) == ("note", ["confidences lower"])
    assert accuracy.verdict == "pass"
    assert steps("pictures", *pairs)[0].verdict == "fail"


def test_ap_of_more_objects_than_coco_counts(tmp_path):
    """100 labels of a class; with 50 counted, half of the boxes can be lost unseen."""
    data = instances(tmp_path, [GRID] * 12)
    half = np.linspace(0.9, 0.8, 50)
    pairs = [(gridded(np.linspace(0.9, 0.3, 100)), gridded(half))] * 12
    free = replace(MODEL, postprocess=Step("yolo"))
    with pytest.warns(AssumptionWarning, match="more labels of a class than the 50 detections that AP counts"):
        few = steps(data, *pairs, model=free, max_detections=50)[1]
    assert few.figures["AP"]["change"] == 0
    assert (few.verdict, few.causes[0].name) == ("note", "AP does not count every box")
    assert "--max-detections N counts more" in few.causes[0].text
    assert "50 detections per class and picture" in few.summary
    all_ = steps(data, *pairs, model=free)[1]
    assert all_.figures["AP"]["reference"] == 1
    assert (all_.verdict, all_.causes[0].name) == ("fail", "AP lost")
    with pytest.raises(UsageError, match="--max-detections 0"):
        steps(data, max_detections=0)


def test_a_full_list_of_detections_is_told(tmp_path):
    data = instances(tmp_path, [GRID] * 12)
    pairs = [
        (gridded(np.linspace(0.9, 0.3, count)), gridded(np.linspace(0.9, 0.3, count))) for count in [60] + [59] * 11
    ]
    with pytest.warns(AssumptionWarning, match="2 pictures with as many detections as the contract keeps"):
        accuracy = steps(data, *pairs)[1]
    assert [cause.name for cause in accuracy.causes] == ["AP does not count every box"]


def labelled(tmp_path, count, kind=0):
    """Step `accuracy` on pictures in each of which the reference finds a box, and the candidate one beside it."""
    comparison = DetectionComparison(MODEL, MODEL, instances(tmp_path, [[[10, 10, 40, 40]]] * count, kind))
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
