"""Agreement of two models, and how certain a difference in AP is."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcore_kit.boxes.detections import Detections
from qcore_plugins.tasks.detection.agreement import agreement
from qcore_plugins.tasks.detection.bootstrap import Matches, difference
from qcore_plugins.tasks.detection.chance import beyond, highest
from qcore_plugins.tasks.detection.collected import Collected
from qcore_plugins.tasks.detection.dataset import Labels


def found(count=40, seed=0, low=0.3):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 500, (count, 2))
    boxes = np.concatenate((corner, corner + rng.uniform(30, 90, (count, 2))), 1).astype(np.float32)
    return Detections(boxes, np.sort(rng.uniform(low, 0.95, count).astype(np.float32))[::-1], rng.integers(0, 3, count))


def changed(one, **what):
    return Detections(**{"xyxy": one.xyxy, "confidence": one.confidence, "class_id": one.class_id, **what})


def test_a_model_agrees_with_itself():
    said = agreement([(found(), found())])
    assert said["agree"]
    assert (said["different"], said["lost"], said["shift"]) == (0, 0, 0)
    assert said["boxes"] == 40


def test_rounding_agrees_and_is_told():
    one, rng = found(), np.random.default_rng(1)
    other = changed(
        one, xyxy=one.xyxy + rng.normal(0, 2, one.xyxy.shape), confidence=one.confidence + rng.normal(0, 0.01, 40)
    )
    said = agreement([(one, other)])
    assert said["agree"]
    assert said["different"] > 0
    assert 0 < said["shift"] < 0.02


@pytest.mark.parametrize(
    "fault",
    [
        lambda one: changed(one, confidence=one.confidence - 0.04),
        lambda one: changed(one, xyxy=one.xyxy * 0.8),
        lambda one: changed(one, class_id=(one.class_id + 1) % 3),
        lambda one: Detections(one.xyxy[:30], one.confidence[:30], one.class_id[:30]),
        lambda one: Detections(one.xyxy[:0], one.confidence[:0], one.class_id[:0]),
    ],
    ids=["lower confidences", "smaller boxes", "other classes", "boxes lost", "nothing found"],
)
def test_faults_disagree(fault):
    assert not agreement([(found(), fault(found()))])["agree"]


def test_boxes_at_the_threshold_need_no_partner():
    one = found()
    low = changed(one, confidence=np.full(40, 0.26, np.float32))
    none = Detections(one.xyxy[:0], one.confidence[:0], one.class_id[:0])
    assert agreement([(low, none)])["lost"] == 0


NONE = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


def some(one, *places):
    return Detections(one.xyxy[list(places)], one.confidence[list(places)], one.class_id[list(places)])


def test_nothing_agrees_with_nothing_and_proves_nothing():
    said = agreement([(NONE, NONE)] * 24)
    assert (said["agree"], said["enough"], said["boxes"]) == (True, False, 0)
    assert said["summary"] == ("no box above confidence 0.25; none above 0.02 either")


@pytest.mark.parametrize("count", range(2, 10))
def test_a_single_one_of_few_boxes_decides_nothing(count):
    """Of another class, it counts on both sides."""
    one = found(count, low=0.4)
    said = agreement([(one, changed(one, class_id=np.r_[7, one.class_id[1:]]))])
    assert said["agree"]
    assert not said["enough"] or count == 9
    assert not agreement([(one, NONE)])["agree"]


@pytest.mark.parametrize(("lost", "agree"), [(5, True), (20, False)])
def test_half_of_the_boxes_is_not_what_quantization_may_lose_against_float(lost, agree):
    one = found(low=0.4)
    other = some(one, *range(lost, 40))
    assert agreement([(one, other)], against="float")["agree"] is agree
    assert not agreement([(one, some(one, *range(10, 40)))])["agree"]


def faint(scale=1.0, seed=0):
    """Candidates of a picture on which nothing reaches the deployed confidence."""
    one = found(30, seed)
    return changed(one, confidence=np.linspace(0.16, 0.02, 30, dtype=np.float32) * np.float32(scale))


def test_candidates_below_the_deployed_confidence_tell_where_nothing_is_above_it():
    said = agreement([(faint(), faint())], against="float")
    assert (said["agree"], said["enough"], said["boxes"]) == (True, True, 0)
    assert said["levels"][-1]["boxes"] >= 9
    assert "no box above confidence 0.25; " in said["summary"]
    assert "0 of them lost" in said["summary"]


@pytest.mark.parametrize(
    "fault",
    [
        lambda one: NONE,  # noqa: ARG005 - all scores are 0
        lambda one: some(one, *range(0, 30, 2)),
        lambda one: changed(one, class_id=(one.class_id + 1) % 3),
        lambda one: changed(one, confidence=np.ones(30, np.float32)),
        lambda one: changed(one, xyxy=np.tile(one.xyxy[:1], (30, 1))),
        lambda one: changed(one, xyxy=np.full((30, 4), np.nan, np.float32)),
    ],
    ids=["all lost", "half lost", "other classes", "scores saturated", "boxes all equal", "no numbers"],
)
def test_faults_show_in_candidates_below_the_deployed_confidence(fault):
    said = agreement([(faint(seed=seed), fault(faint(seed=seed))) for seed in range(3)], against="float")
    assert not said["agree"]
    assert any("lost" in line or "gained" in line for line in said["faults"])


def test_a_dead_class_among_many_boxes_is_named():
    """Of 120 boxes 20 are of class 9, and so few at the deployed confidence that nothing shows there."""
    one = found(120, low=0.03)
    one = changed(one, class_id=np.r_[np.arange(100) % 3, np.full(20, 9)], names=tuple("abcdefghij"))
    dead = Detections(one.xyxy[:100], one.confidence[:100], one.class_id[:100], one.names)
    for against in ("float", "reference"):
        assert (
            "20 of 20 boxes of class j lost at confidence 0.02" in agreement([(one, dead)], against=against)["faults"]
        )
    half = some(one, *range(110))
    assert not any("of class" in line for line in agreement([(one, half)], against="float")["faults"])


@pytest.mark.parametrize(("offset", "agree"), [(0.0, True), (0.5, True), (6.0, False), (-6.0, False)])
def test_boxes_that_all_lie_aside_are_told_from_boxes_that_move(offset, agree):
    one, rng = found(200), np.random.default_rng(2)
    other = changed(one, xyxy=one.xyxy + rng.normal(0, 2, one.xyxy.shape) + [offset, 0, offset, 0])
    said = agreement([(one, other)], against="float")
    assert said["agree"] is agree, said["faults"]
    assert agree or "edges of the boxes lie" in said["faults"][-1]


def test_half_of_the_faint_boxes_lost_is_told_though_all_sure_ones_are_found():
    one = found(100, low=0.3)
    weak = changed(found(100, seed=1), confidence=np.full(100, 0.03, np.float32))
    both = Detections(*(np.concatenate(pair) for pair in zip(
        (one.xyxy, one.confidence, one.class_id), (weak.xyxy, weak.confidence, weak.class_id), strict=True
    )))  # fmt: skip
    said = agreement([(both, one)], against="float")
    assert "100 of 200 boxes lost at confidence 0.02" in said["faults"]


def test_the_deployed_confidence_is_the_contracts():
    class Contract:
        class postprocess:  # noqa: N801
            params = {"confidence": 0.6}  # noqa: RUF012

    one = found()
    assert agreement([(one, one)], contract=Contract)["boxes"] == int((one.confidence >= 0.6).sum())


def test_wilsons_interval_and_the_binomial_test():
    """Values of R: prop.test(1, 10, correct = FALSE), binom.test(c(3, 2), 9, .05, "greater")."""
    assert highest(1, 10) == pytest.approx(0.4041500, abs=1e-5)
    assert highest(0, 0) == 1
    assert beyond(3, 9, 0.05)  # p = 0.0084
    assert not beyond(2, 9, 0.05)  # p = 0.0712
    assert not beyond(0, 0, 0.05)
    assert beyond(700, 10000, 0.05)


def pictures(seed, count=12):
    rng = np.random.default_rng(seed)
    results, labels = [], []
    for place in range(count):
        truth = found(8, 1000 * seed + place)
        crowd = rng.random(8) < 0.1
        noise = rng.normal(0, rng.choice([1, 6, 20]), truth.xyxy.shape)
        extra = found(4, 7000 + place, low=0.05)
        boxes = np.concatenate((truth.xyxy + noise, extra.xyxy)).astype(np.float32)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)  # COCO leaves boxes without an area out
        kinds = np.concatenate((truth.class_id, extra.class_id))
        results.append(Detections(boxes, rng.uniform(0.01, 1, 12).astype(np.float32), kinds))
        area = (truth.xyxy[:, 2:] - truth.xyxy[:, :2]).prod(1)
        labels.append(Labels(truth.xyxy.astype(np.float64), truth.class_id, crowd, area))
    return results, labels


class Data:
    names = ("a", "b", "c")


@pytest.mark.parametrize("seed", range(5))
def test_ap_without_resampling_is_cocos(seed):
    results, labels = pictures(seed)
    collected = Collected(Data(), {0: 0, 1: 1, 2: 2})
    for each, truth in zip(results, labels, strict=True):
        collected.add(Path("a.jpg"), each, truth, (640, 640))
    ours, theirs = Matches.of(results, labels), collected.figures()
    assert ours.average_precision() == pytest.approx(theirs["AP"], abs=1e-6)
    assert ours.average_precision(loose=True) == pytest.approx(theirs["AP50"], abs=1e-6)


@given(st.lists(st.integers(0, 3), min_size=12, max_size=12).filter(any))
@settings(max_examples=20, deadline=None)
def test_weights_count_pictures_several_times(weights):
    results, labels = pictures(3)
    repeated = [place for place, times in enumerate(weights) for _ in range(times)]
    chosen = Matches.of([results[place] for place in repeated], [labels[place] for place in repeated])
    whole = Matches.of(results, labels)
    assert whole.average_precision(np.array(weights, float)) == pytest.approx(chosen.average_precision(), abs=1e-9)


def test_the_interval_holds_the_difference_and_is_nothing_for_equals():
    results, labels = pictures(1)
    same = Matches.of(results, labels)
    assert difference(same, same) == (0, 0, 0)
    worse = [Detections(each.xyxy + 8, each.confidence, each.class_id) for each in results]
    change, low, high = difference(same, Matches.of(worse, labels))
    assert low < change < high < 0
    assert difference(same, Matches.of(worse, labels)) == (change, low, high)
