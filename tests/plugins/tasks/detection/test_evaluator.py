"""Figures on small sets whose result can be worked out by hand; both data layouts give the same."""

import json
from contextlib import nullcontext

import cv2
import numpy as np
import pytest

import qcore
from qcore.plugin import AssumptionWarning, FileError, Judge, Silent, Step, UsageError
from qcore_kit.boxes.detections import Detections
from qcore_plugins.tasks.detection.evaluator import match_classes
from qcore_plugins.tasks.detection.matching import best_f1

NAMES = ("cat", "dog")


class Fixed:
    """A predictor that knows its answers by file name."""

    def __init__(self, answers, names=NAMES):
        self.answers = answers
        postprocess = Step("yolo", {"max_detections": 100})
        self.contract = type("Contract", (), {"classes": names, "task": "detection", "postprocess": postprocess})

    def run(self, paths, on_error):
        for path in paths:
            picture = cv2.imread(str(path))
            if picture is None:
                on_error(path, FileError(f"{path}: not a readable picture"))
                yield path, None, None
                continue
            rows = np.array(self.answers.get(path.name, []), np.float64).reshape(-1, 6)
            yield (
                path,
                picture,
                Detections(rows[:, :4].astype(np.float32), rows[:, 4].astype(np.float32), rows[:, 5].astype(int)),
            )


@pytest.fixture
def data(tmp_path):
    """Two pictures of 100x200: a cat and a dog in the first, a cat in the second; as COCO json and as data.yaml."""
    boxes = {"a.png": [(10, 10, 40, 40, 0), (100, 20, 60, 60, 1)], "b.png": [(50, 50, 20, 30, 0)]}
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    images, annotations = [], []
    for number, (name, found) in enumerate(boxes.items(), 1):
        cv2.imwrite(str(tmp_path / "images" / name), np.zeros((100, 200, 3), np.uint8))
        images.append({"id": number, "file_name": name, "height": 100, "width": 200})
        lines = []
        for x, y, w, h, kind in found:
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": [7, 9][kind], "bbox": [x, y, w, h],
                 "area": w * h, "iscrowd": 0}
            )  # fmt: skip
            lines.append(f"{kind} {(x + w / 2) / 200} {(y + h / 2) / 100} {w / 200} {h / 100}\n")
        (tmp_path / "labels" / name).with_suffix(".txt").write_text("".join(lines))
    categories = [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "instances.json").write_text(json.dumps(document))
    (tmp_path / "data.yaml").write_text("path: .\nval: images\nnames: {0: cat, 1: dog}\n")
    return tmp_path


RIGHT = {"a.png": [(10, 10, 50, 50, 0.9, 0), (100, 20, 160, 80, 0.8, 1)], "b.png": [(50, 50, 70, 80, 0.7, 0)]}


def evaluate(predictor, path, **options):
    return tallied(predictor, path, **options).figures()


def tallied(predictor, path, *, places=None, progress=None, **options):
    judge = Judge(qcore.plugins, path, options, progress or Silent())
    tally = judge.open(predictor.contract)
    judge.fill(tally, predictor, places)
    return tally


@pytest.mark.parametrize("layout", ["instances.json", "data.yaml"])
def test_everything_right(data, layout):
    figures = evaluate(Fixed(RIGHT), data / layout)
    assert {key: figures[key] for key in ("AP", "AP50", "precision", "recall", "F1")} == pytest.approx(
        {"AP": 1, "AP50": 1, "precision": 1, "recall": 1, "F1": 1}
    )
    assert figures["threshold"] == pytest.approx(0.7)
    assert figures["images"] == 2


@pytest.mark.parametrize("layout", ["instances.json", "data.yaml"])
def test_a_miss_and_a_false_alarm(data, layout):
    answers = {"a.png": [(10, 10, 50, 50, 0.9, 0), (150, 0, 190, 20, 0.6, 1)], "b.png": [(50, 50, 70, 80, 0.7, 0)]}
    figures = evaluate(Fixed(answers), data / layout)
    assert figures["AP50"] == pytest.approx(0.5)  # cat 1, dog 0
    assert figures["precision"] == pytest.approx(1.0)  # at the threshold where F1 is best
    assert figures["recall"] == pytest.approx(2 / 3)
    assert figures["threshold"] == pytest.approx(0.7)


def test_a_box_found_twice_counts_once(data):
    answers = {"b.png": [(50, 50, 70, 80, 0.9, 0), (51, 50, 70, 80, 0.9, 0)]}
    figures = evaluate(Fixed(answers), data / "instances.json")
    assert figures["precision"] == pytest.approx(0.5)
    assert figures["recall"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("layout", ["instances.json", "data.yaml"])
def test_where_nothing_is_found_sizes_without_labels_have_no_figure(data, layout):
    figures = evaluate(Fixed({}), data / layout)
    sizes = [figures[f"AP_{size}"] for size in ("small", "medium", "large")]
    assert (figures["AP"], figures["AP50"], sizes) == (0.0, 0.0, [0.0, 0.0, None])
    assert [evaluate(Fixed(RIGHT), data / layout)[f"AP_{size}"] for size in ("small", "medium", "large")] == [
        1,
        1,
        None,
    ]


def test_more_labels_than_ap_counts_are_told(data):
    document = json.loads((data / "instances.json").read_text())
    places = [(x, y) for x in range(0, 44, 4) for y in range(0, 44, 4)][:101]
    document["annotations"] += [
        {"id": 100 + number, "image_id": document["images"][0]["id"], "category_id": document["categories"][0]["id"],
         "bbox": [x, y, 3, 3], "area": 9, "iscrowd": 0} for number, (x, y) in enumerate(places)
    ]  # fmt: skip
    (data / "instances.json").write_text(json.dumps(document))
    with pytest.warns(
        AssumptionWarning,
        match="1 picture with more labels of a class than the 100 detections that AP counts; --max-det",
    ):
        figures = evaluate(Fixed(RIGHT), data / "instances.json")
    assert figures["oddities"]["pictures_of_many_labels"]["count"] == 1
    assert "max_detections" not in figures


def test_ap_of_more_objects_than_coco_counts(data):
    """130 objects, all of them found: AP is the part of them that is counted, unless all are."""
    document = json.loads((data / "instances.json").read_text())
    places = [(10 * x, 10 * y) for x in range(13) for y in range(10)]
    image = document["images"][0]
    document["annotations"] = [
        {"id": number, "image_id": image["id"], "category_id": document["categories"][0]["id"],
         "bbox": [x, y, 8, 8], "area": 64, "iscrowd": 0} for number, (x, y) in enumerate(places)
    ]  # fmt: skip
    (data / "instances.json").write_text(json.dumps(document))
    answers = {image["file_name"]: [(x, y, x + 8, y + 8, 0.9, 0) for x, y in places]}
    with pytest.warns(AssumptionWarning):
        few = evaluate(Fixed(answers), data / "instances.json")
    assert (few["AP"], few["recall"]) == (pytest.approx(0.7624, abs=1e-3), 1)
    figures = evaluate(Fixed(answers), data / "instances.json", max_detections=130)
    assert (figures["AP"], figures["max_detections"]) == (pytest.approx(1), 130)


def test_crowds_do_not_count(data):
    document = json.loads((data / "instances.json").read_text())
    document["annotations"][1]["iscrowd"] = 1
    (data / "instances.json").write_text(json.dumps(document))
    answers = {**RIGHT, "a.png": [(10, 10, 50, 50, 0.9, 0), (110, 30, 120, 40, 0.95, 1)]}
    figures = evaluate(Fixed(answers), data / "instances.json")
    assert (figures["precision"], figures["recall"]) == (pytest.approx(1), pytest.approx(1))


def test_class_names_are_matched_not_numbers(data):
    swapped = {name: [(*row[:5], 1 - row[5]) for row in found] for name, found in RIGHT.items()}
    assert evaluate(Fixed(swapped, ("dog", "cat")), data / "instances.json")["AP"] == pytest.approx(1)


def test_labels_whose_classes_or_pictures_are_others_are_told(tmp_path):
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.zeros((100, 200, 3), np.uint8))
    (tmp_path / "data.yaml").write_text("val: images\nnames: [cat, dog, bird]\n")
    boxes = [(place, place, place + 20, place + 20) for place in range(0, 48, 4)]
    lines = [f"0 {(x + 10) / 200} {(y + 10) / 100} 0.1 0.2\n" for x, y, *_ in boxes]
    (tmp_path / "images" / "a.txt").write_text("".join(lines))
    names = ("cat", "dog", "bird")

    def remarks(shift, kind):
        rows = [(x + shift, y, right + shift, bottom, 0.9, kind) for x, y, right, bottom in boxes]
        with pytest.warns(AssumptionWarning) if shift or kind else nullcontext():
            figures = evaluate(Fixed({"a.png": rows}, names), tmp_path / "data.yaml")
        return figures["oddities"].get("remarks", [])

    assert remarks(0, 0) == []
    (remark,) = remarks(0, 1)
    assert remark.startswith(f"{tmp_path / 'data.yaml'}: 12 of 12 labels are found as another class, e.g. cat as dog;")
    assert "none of the 12 labels overlaps a detection" in remarks(100, 0)[0]


def test_classes_can_be_renamed_and_those_the_model_lacks_are_left_out(data):
    figures = evaluate(Fixed(RIGHT, ("feline", "lorry")), data / "instances.json", classes={"feline": "cat"})
    assert figures["AP"] == pytest.approx(1)
    assert figures["classes"] == 1


def test_no_class_in_common_is_an_error():
    with pytest.raises(UsageError, match="have no class in common") as caught:
        match_classes(("car",), ("cat",), {})
    assert "--classes" in caught.value.hint
    with pytest.raises(UsageError, match="the data has no class 'bird'"):
        match_classes(("car",), ("cat",), {"car": "bird"})


def test_unreadable_and_missing_pictures_are_named_and_skipped(data):
    (data / "images" / "b.png").write_text("no picture")
    figures = evaluate(Fixed(RIGHT), data / "instances.json")
    assert (figures["images"], [name.rpartition("/")[2] for name in figures["skipped"]]) == (1, ["b.png"])
    (data / "images" / "b.png").unlink()
    assert evaluate(Fixed(RIGHT), data / "instances.json")["images"] == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.json", "[]", "not a COCO detection json"),
        ("d.json", "{", "not a COCO detection json"),
        ("d.yaml", "nothing: here", "not a YOLO data.yaml"),
        ("d.json", '{"images": [], "annotations": [], "categories": []}', "lists no images"),
    ],
)
def test_data_that_is_none(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(FileError, match=message):
        evaluate(Fixed({}), tmp_path / name)


def test_pictures_elsewhere(data, tmp_path):
    (data / "images").rename(tmp_path / "moved")
    with pytest.raises(FileError, match="none of its images were found") as caught:
        evaluate(Fixed(RIGHT), data / "instances.json")
    assert "--images" in caught.value.hint
    assert evaluate(Fixed(RIGHT), data / "instances.json", images=tmp_path / "moved")["AP"] == pytest.approx(1)


def test_a_bad_label_line_is_named(data):
    (data / "labels" / "a.txt").write_text("0 0.5 0.5 0.1\n")
    with pytest.raises(FileError, match=r"a\.txt: line 1: not a label"):
        evaluate(Fixed(RIGHT), data / "data.yaml")


def test_best_f1_by_hand():
    found = best_f1([np.array([0.9, 0.8, 0.7, 0.6])], [np.array([1, 0, 1, 0])], labels=2)
    assert found == pytest.approx({"precision": 2 / 3, "recall": 1.0, "F1": 0.8, "threshold": 0.7})
    assert best_f1([], [], labels=3)["F1"] == 0


@pytest.mark.parametrize("layout", ["instances.json", "data.yaml"])
def test_parts_merged_in_any_order_are_the_whole(data, layout):
    answers = {"a.png": [(11, 10, 50, 52, 0.9, 0), (100, 28, 160, 80, 0.8, 1)], "b.png": [(50, 50, 76, 80, 0.7, 0)]}
    (data / "images" / "c.png").write_bytes(b"no picture")
    document = json.loads((data / "instances.json").read_text())
    document["images"].append({"id": 3, "file_name": "c.png", "height": 100, "width": 200})
    (data / "instances.json").write_text(json.dumps(document))
    whole = evaluate(Fixed(answers), data / layout)
    count = 3
    parts = [
        json.loads(json.dumps(tallied(Fixed(answers), data / layout, places=[place]).state())) for place in range(count)
    ]
    merged = tallied(Fixed(answers), data / layout, places=[])
    for state in reversed(parts):
        merged.merge(state)
    assert merged.figures() == whole
    assert 0 < whole["AP"] < 1
    assert [name.rpartition("/")[2] for name in whole["skipped"]] == ["c.png"]
    with pytest.raises(FileError, match="was evaluated already"):
        merged.merge(parts[0])


@pytest.mark.parametrize(
    "state",
    [
        None,
        3,
        {},
        {"unread": [], "pictures": [[0]]},
        {"unread": ["a"], "pictures": []},
        {"unread": [9], "pictures": []},
        {"unread": [0, 0], "pictures": []},
        {"unread": [float("inf")], "pictures": []},
        {"unread": [], "pictures": [[0, [1, 1], [[0, 0, 1, 1]], [], []]]},
    ],
)
def test_what_is_no_part_is_refused(data, state):
    with pytest.raises(FileError):
        tallied(Fixed(RIGHT), data / "instances.json", places=[]).merge(state)
