"""What explains a difference between two models."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from qcore.cli.console import Output
from qcore.plugin import Prepared
from qcore_kit.comparison.rung import Cause, Rung
from qcore_kit.verification.quantity import Sums
from qcore_plugins.tools.compare.explaining import explained
from qcore_plugins.tools.compare.inside import EXACT, _decibel, _fall
from qcore_plugins.tools.compare.ladder import Compared, _explained
from qcore_plugins.tools.compare.noise import accumulated, jump
from qcore_plugins.tools.compare.preprocessing import rung

NAMES = ("cx", "cy", "w", "h")


@pytest.fixture
def boxes():
    rng = np.random.default_rng(0)
    return rng.uniform((0, 0, 5, 5), (640, 384, 200, 90), (1, 300, 4)).astype(np.float32)


@pytest.fixture
def scores():
    return np.random.default_rng(1).uniform(0.001, 0.99, (1, 300, 4)).astype(np.float32)


def found(one, other):
    return [(cause.name, cause.text) for cause in explained("it", one, other, NAMES.__getitem__, 0.9999)]


def test_boxes_in_parts_of_the_picture(boxes):
    ((name, text),) = found(boxes, boxes / np.float32([640, 384, 640, 384]))
    assert name == "another scale: it"
    assert "1/640 to 1/384 times" in text
    ((_, text),) = found(boxes, boxes / np.float32(416))
    assert "gives 1/416 times" in text


def test_channels_in_another_order(boxes):
    assert found(boxes, boxes[..., [1, 0, 3, 2]]) == [
        ("another order: it", "it: CANDIDATE gives REF's cy where cx belongs")
    ]


def test_a_sigmoid_too_few_or_too_many(scores):
    assert [name for name, _ in found(scores, np.log(scores / (1 - scores)))] == ["no sigmoid: it"]
    assert [name for name, _ in found(scores, 1 / (1 + np.exp(-scores)))] == ["sigmoid twice: it"]


def test_a_layer_without_weights(boxes):
    assert [name for name, _ in found(boxes, np.zeros_like(boxes) + np.float32([1, 2, 3, 4]))] == ["constant: it"]


def test_what_is_not_simple_is_not_explained(boxes, scores):
    rng = np.random.default_rng(2)
    assert found(boxes, rng.permuted(boxes, axis=1)) == []
    assert found(scores, scores * np.float32([1, 1, 1, 0])) == []
    assert found(np.zeros_like(scores), np.zeros_like(scores)) == []
    assert found(scores, scores * np.float32([1, 1.1, 0.9, 1])) == []


def sums(one, other):
    made = Sums()
    made.add(one, other, str, "picture")
    return made


def test_a_factor_that_the_cosine_does_not_see(boxes):
    scaled = sums(boxes, boxes / 416)
    assert scaled.cosine == pytest.approx(1)
    assert scaled.size == pytest.approx(1 / 416)
    assert not scaled.within("quantized")
    assert sums(boxes, boxes * np.float32(1.01)).within("float")


def test_the_layer_from_which_the_noise_comes():
    ratios = {"a": 40.0, "b": 38.0, "c": 4.0, "d": 6.0, "e": 2.0, "f": -30.0}
    assert _fall(ratios, "e") == ("c", "b")
    assert _fall(ratios, "a") == ()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_never_pass(boxes, value):
    broken = boxes.copy()
    broken[0, 7, 2] = value
    result = sums(boxes, broken)
    assert not result.within("quantized")
    assert result.where == "(0, 7, 2) of picture"
    assert _decibel(1.0, float(value)) == -EXACT

    reference = SimpleNamespace(prepare=lambda raw: Prepared({"x": raw}))
    step = rung(reference, lambda *_: broken, [("a.jpg", boxes)], "OWN CODE")
    assert (step.verdict, [cause.name for cause in step.causes]) == ("fail", ["values that are no numbers"])


def test_json_has_no_word_for_nan(capsys):
    Output(json=True).result({"a": float("nan"), "b": np.float32(2), "c": np.arange(2)})
    printed = capsys.readouterr().out
    assert "NaN" not in printed
    assert json.loads(printed) == {"a": None, "b": 2.0, "c": [0, 1]}


def compared(*rungs):
    return Compared(rungs, None, None, 1, (), None)


def test_the_cause_is_that_of_the_first_step_which_knows_one():
    tensors = Rung("raw tensors", "fail", "lowest cosine .5")
    within = Rung("inside the graph", "fail", "first below", [Cause("first layer that differs: a", "")])
    both = compared(Rung("contract", "note", "", [Cause("free batch", "")]), tensors, within)
    assert (both.failed, both.cause.name) == (tensors, "first layer that differs: a")
    assert compared(Rung("contract", "pass", "")).cause is None


def test_outputs_that_differ_while_no_layer_does_are_made_behind_them():
    tensors = Rung("raw tensors", "fail", "")
    same, other, unseen = (Rung("inside the graph", verdict, "") for verdict in ("pass", "fail", "none"))
    assert [cause.name for cause in _explained(tensors, same, ()).causes] == ["behind the last layers"]
    sources = [Cause("made of another file", "")]
    assert [cause.name for cause in _explained(tensors, same, sources).causes] == ["behind the last layers"]
    assert _explained(tensors, other, sources) is _explained(tensors, unseen, sources) is tensors
    known = Rung("raw tensors", "fail", "", [Cause("BGR swapped", "")])
    assert _explained(known, same, sources) is known


@pytest.mark.parametrize(("below", "told"), [("a", True), ("b", False)])
def test_weights_of_another_file_differ_from_the_first_layer_on(below, told):
    figures = {"ratio_db": {"a": 1.0, "b": 1.0}, "first_below": below}
    sources = [Cause("made of another file", "")]
    within = Rung("inside the graph", "fail", "", figures=figures)
    assert _explained(Rung("raw tensors", "fail", ""), within, sources).causes == (sources if told else ())


def test_a_dead_level_of_a_joined_output_is_broken_though_most_rows_are_right():
    from qcore_kit.verification.quantity import Quantity

    rng = np.random.default_rng(0)
    scores = rng.random((1, 2000, 3))
    dead, rounded = scores.copy(), np.round(scores * 127) / 127
    dead[:, 1900:] = 0.5
    for values, lines in ((rounded, 0), (dead, 1)):
        quantity = Quantity()
        quantity.add(scores, values, str)
        assert len(list(quantity.broken("scores"))) == lines
    assert quantity.correlation > 0.9
    assert quantity.worst_part == (20, pytest.approx(0, abs=0.05))


def test_a_single_jump_is_a_layers_fault_and_noise_that_adds_up_is_not():
    grows = {name: 38.0 - 2.5 * place for place, name in enumerate("abcdefghijklmno")}
    assert jump(grows, "o", 40.0) is None
    cause = accumulated(grows, "o")
    assert cause.name == "accumulated noise"
    assert "from 38.0 dB at a to 3.0 dB at o; the largest fall between neighbours is 2.5 dB" in cause.text
    planted = {**grows, **{name: 4.0 - place for place, name in enumerate("fghijklmno")}}
    assert jump(planted, "h", 40.0) == "f"
    assert jump({"a": 2.0, "b": 30.0}, "a", 40.0) == "a"
    branches = {"a": 30.0, "b": 12.0, "c": 25.0, "d": 11.0, "e": 2.9}  # c and d are of two branches
    assert jump(branches, "e", 40.0) is None
    assert jump({"a": 115.0, "b": 114.0, "c": 20.0}, "c", 120.0) == "c"


def test_noise_that_is_enough_for_the_outputs_is_not_looked_for_behind_the_layers():
    tensors = Rung("raw tensors", "fail", "", figures={"class scores": {"cosine": 0.85}})
    noisy = Rung("inside the graph", "pass", "", figures={"ratio_db": {"a": 30.0, "b": 4.5}, "first_below": None})
    (cause,) = _explained(tensors, noisy, ()).causes
    assert cause.name == "accumulated noise"
    assert cause.text.endswith("a cosine of 0.850 in the outputs is 4.2 dB")
    clean = Rung("inside the graph", "pass", "", figures={"ratio_db": {"a": 30.0, "b": 25.0}, "first_below": None})
    assert [each.name for each in _explained(tensors, clean, ()).causes] == ["behind the last layers"]


def test_a_runtime_that_does_not_do_as_the_graph_says_is_named():
    runtime = {"backend": "onnxruntime", "quantity": "class scores", "cosine": 0.5, "size": 1.0}
    within = Rung(
        "inside the graph", "pass", "", figures={"ratio_db": {"a": 30.0}, "first_below": None, "runtime": runtime}
    )
    (cause,) = _explained(Rung("raw tensors", "fail", ""), within, ()).causes
    assert cause.name == "the runtime computes otherwise"
    assert "onnxruntime makes other outputs than the graph says: cosine 0.5" in cause.text
