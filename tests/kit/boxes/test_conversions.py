"""Detections in the forms of other tools, and back."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qcore.plugin import MissingDependency, UsageError
from qcore_kit.boxes.detections import Detections

NAMES = ("person", "bicycle", "car")
CATEGORIES = [{"id": 7, "name": "person"}, {"id": 2, "name": "bicycle"}, {"id": 90, "name": "car"}]


@st.composite
def found(draw):
    count = draw(st.integers(0, 8))
    corners = draw(arrays(np.float32, (count, 2, 2), elements=st.floats(0, 8192, width=32)))
    confidence = draw(arrays(np.float32, count, elements=st.floats(0, 1, width=32)))
    classes = draw(arrays(np.int64, count, elements=st.integers(0, 2)))
    xyxy = np.concatenate((corners.min(1), corners.max(1)), 1)
    return Detections(xyxy, np.sort(confidence)[::-1].copy(), classes, NAMES)


def same(one, other):
    assert np.allclose(one.xyxy, other.xyxy, atol=1e-3)
    assert np.array_equal(one.confidence, other.confidence)
    assert np.array_equal(one.class_id, other.class_id)
    assert (one.xyxy.dtype, one.confidence.dtype, one.class_id.dtype) == (np.float32, np.float32, np.int64)


@given(found())
@settings(deadline=None)
def test_coco_results_and_back(detections):
    ids = [entry["id"] for entry in CATEGORIES]
    rows = json.loads(json.dumps(detections.to_coco(139, ids)))
    assert {row["image_id"] for row in rows} <= {139}
    back = Detections.from_coco(rows, CATEGORIES)
    same(back, detections)
    assert back.names == NAMES


def test_coco_results_are_what_coco_says():
    one = Detections(np.float32([[10, 20, 30, 60]]), np.float32([0.5]), np.array([2]), NAMES)
    assert one.to_coco("a") == [{"image_id": "a", "category_id": 3, "bbox": [10, 20, 20, 40], "score": 0.5}]
    assert one.to_coco(1, {2: 90})[0]["category_id"] == 90
    assert one.to_coco(1, {0: 90}) == []


def test_annotations_count_as_certain_and_results_are_put_in_order():
    rows = [{"bbox": [0, 0, 5, 5], "category_id": 2, "score": 0.25}, {"bbox": [1, 1, 2, 2], "category_id": 7}]
    made = Detections.from_coco(rows, CATEGORIES)
    assert made.confidence.tolist() == [1, 0.25]
    assert made.xyxy.tolist() == [[1, 1, 3, 3], [0, 0, 5, 5]]
    assert made.class_id.tolist() == [0, 1]


@pytest.mark.parametrize(
    "row", [{}, {"bbox": [1, 2, 3], "category_id": 7}, {"bbox": [1, 2, 3, 4], "category_id": 1}, 5]
)
def test_records_that_are_none(row):
    with pytest.raises(UsageError, match="not COCO results of these categories"):
        Detections.from_coco([row], CATEGORIES)


@given(found())
@settings(deadline=None)
def test_supervision_shares_the_arrays_both_ways(detections):
    supervision = pytest.importorskip("supervision")
    theirs = detections.to_supervision()
    assert isinstance(theirs, supervision.Detections)
    assert theirs["class_name"].tolist() == [name for _, _, name in detections]
    back = Detections.from_supervision(theirs, NAMES)
    same(back, detections)
    for name in ("xyxy", "confidence", "class_id") if len(detections) else ():
        assert np.shares_memory(getattr(detections, name), getattr(theirs, name))
        assert np.shares_memory(getattr(detections, name), getattr(back, name))


def test_supervision_of_another_origin():
    supervision = pytest.importorskip("supervision")
    theirs = supervision.Detections(
        xyxy=np.array([[0.0, 0, 5, 5], [1, 1, 2, 2]]), confidence=np.array([0.25, 0.5]), class_id=np.array([2, 0]),
        data={"class_name": np.array(["car", "person"])},
    )  # fmt: skip
    made = Detections.from_supervision(theirs)
    assert made.confidence.tolist() == [0.5, 0.25]
    assert [name for _, _, name in made] == ["person", "car"]
    assert made.names == ("person", "1", "car")
    assert len(Detections.from_supervision(supervision.Detections.empty())) == 0
    without = Detections.from_supervision(supervision.Detections(xyxy=np.ones((1, 4)), class_id=np.array([1])))
    assert without.confidence.tolist() == [1.0]
    with pytest.raises(UsageError, match="no class_id"):
        Detections.from_supervision(supervision.Detections(xyxy=np.ones((1, 4))))


def test_without_supervision_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "supervision", None)
    one = Detections(np.float32([[10, 20, 30, 60]]), np.float32([0.5]), np.array([2]), NAMES)
    with pytest.raises(MissingDependency, match="supervision is not installed") as caught:
        one.to_supervision()
    assert caught.value.hint == "pip install supervision"


def test_the_examples_in_the_docs_run(exported, pictures, tmp_path, monkeypatch):
    page = (Path(__file__).resolve().parents[3] / "docs" / "predict.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "out").mkdir()
    shutil.copy(exported, tmp_path / "out" / "yolov5n.onnx")
    shutil.copy(pictures / "images" / "0003.png", tmp_path / "street.jpg")
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(blocks[0], scope)
    assert len(json.loads((tmp_path / "results.json").read_text())) == len(scope["found"]) > 0
    pytest.importorskip("supervision")
    exec(blocks[1], scope)
