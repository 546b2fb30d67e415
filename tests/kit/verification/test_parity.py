"""Parity: what is refused, what is proved, and what is only said."""

import numpy as np
import pytest

import qcore
from qcore.plugin import BackendSpec, CheckFailed, Contract, Form, Model
from qcore_kit.abilities import Executed
from qcore_kit.verification import parity

ROWS = 40
CONTRACT = Contract.from_dict(
    {
        "contract": "1.0",
        "task": "detection",
        "inputs": [{"name": "images", "dtype": "float32", "layout": "NCHW", "shape": [1, 3, 64, 64]}],
        "preprocess": {"component": "letterbox", "params": {}},
        "outputs": [
            {"name": "boxes", "dtype": "float32", "shape": [1, ROWS, 4], "meaning": "boxes", "stage": "decoded"},
            {"name": "scores", "dtype": "float32", "shape": [1, ROWS, 3], "meaning": "scores", "stage": "decoded"},
        ],
        "postprocess": {"component": "yolo", "params": {"confidence": 0.25, "iou": 0.45}},
        "classes": ["a", "b", "c"],
    }
)


class Session:
    """Gives the same of every input: boxes on a grid, with random scores of a size."""

    executed_precision = "float32"

    def __init__(self, highest=0.9, change=None, noise=0.0):
        rng = np.random.default_rng(0)
        corner = np.stack(np.meshgrid(np.arange(8) * 8, np.arange(5) * 8), -1).reshape(-1, 2)
        self.boxes = np.concatenate((corner, corner + 7), 1)[None].astype(np.float32)
        self.scores = (rng.random((1, ROWS, 3)) ** 3 * highest).astype(np.float32)
        self.boxes, self.scores = (
            v + rng.normal(0, noise, v.shape).astype(np.float32) for v in (self.boxes, self.scores)
        )
        if change:
            change(self)

    def run(self, inputs):  # noqa: ARG002
        return {"boxes": self.boxes.copy(), "scores": self.scores.copy()}


def check(candidate, reference=None, original=None, inputs=24, contract=CONTRACT, executed=None):
    if executed:
        candidate.executed = lambda: executed

    class Runtime:
        def compile(self, model, *, options):  # noqa: ARG002
            return candidate

    form = Form("tiny", encoding="qdq")
    spec = BackendSpec(name="tiny", summary="", factory=Runtime, accepts=(form,))
    made = reference and (lambda: reference)
    beside = original and parity.assembled(contract, original, "float", plugins=qcore.plugins)
    pictures = [np.full((64, 64, 3), 90, np.uint8)] * inputs
    model = Model(form, None, contract, reference=made)
    return parity.prove(model, spec, pictures, plugins=qcore.plugins, original=beside)


def test_a_file_that_does_the_same_is_proved():
    said = check(Session(noise=1e-3), Session(), Session(), executed=Executed(3, 2, ("last",)))
    assert not said.unproved
    document = said.document()
    assert (document["proved"], document["agree"], document["float"]["agree"]) == (True, True, True)
    assert document["boxes"] > 10
    assert document["executed"] == {"layers": 3, "integer": 2, "floats": ["last"]}
    assert document["tensors"]["class scores"]["correlation"] > 0.99


def zero(session):
    session.scores[:] = 0


def half(session):
    session.scores[:, ::2] = 0


def saturated(session):
    session.scores[:] = 1


def equal(session):
    session.boxes[:] = session.boxes[:, :1]


def nothing(session):
    session.scores[:] = np.nan


def swapped(session):
    session.scores = np.roll(session.scores, 1, -1)


def small(session):
    session.scores /= 20


FAULTS = [zero, half, saturated, equal, swapped, small]


@pytest.mark.parametrize("highest", [0.9, 0.2, 0.01], ids=["boxes", "candidates", "neither"])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_float_model_does_not_do_is_refused(fault, highest):
    """Though the file does exactly what its own fake-quantized reference does."""
    bad = Session(highest, fault)
    with pytest.raises(CheckFailed, match="differ from the float model"):
        check(bad, bad, Session(highest))


def test_values_that_are_no_numbers_are_refused():
    bad = Session(change=nothing)
    with pytest.raises(CheckFailed, match="class scores contain values that are not numbers"):
        check(bad, bad, Session())


def test_what_only_the_runtime_gets_wrong_is_refused_without_a_float_model():
    with pytest.raises(CheckFailed, match="differ from the fake-quantized reference"):
        check(Session(change=half), Session())


@pytest.mark.parametrize("highest", [0.01, 0.0], ids=["too faint", "finds nothing"])
def test_inputs_that_show_nothing_prove_nothing(highest):
    said = check(Session(highest), Session(highest), Session(highest), inputs=100)
    assert said.inputs == 96  # all that it may take
    assert "show too little to judge by: no box above confidence 0.25" in said.unproved
    assert said.document()["proved"] is False


def test_candidates_at_a_low_confidence_prove_where_no_box_is_above_the_deployed_one():
    said = check(Session(0.2, noise=1e-4), Session(0.2), Session(0.2))
    assert not said.unproved
    assert (said.inputs, said.figures["boxes"]) == (24, 0)


def test_one_picture_with_two_boxes_proves_nothing_and_refuses_nothing():
    def two(session):
        session.scores[:, :2] = (0.9, 0.0, 0.0)

    def other_class(session):
        two(session)
        session.scores[:, 1] = (0.0, 0.9, 0.0)

    right = Session(0.01, two)
    said = check(right, right, right, inputs=1)
    assert said.unproved.startswith("1 input shows too little to judge by: 2 boxes")
    assert check(Session(0.01, other_class), right, right, inputs=1).unproved


class Rows:
    """Scores of so many rows that its columns are looked at, with a picture of noise each."""

    executed_precision = "float32"

    def __init__(self, dead=None, second=None):
        self.dead, self.second = dead, second

    def run(self, inputs):
        count = len(inputs["images"])
        rng = np.random.default_rng(0)
        scores = np.repeat(rng.random((1, 400, 3), np.float32) * 0.01, count, 0)
        if self.dead is not None:
            scores[..., self.dead] = 0.003
        if self.second is not None:
            scores[1:] = self.second
        return {"boxes": np.repeat(rng.random((1, 400, 4), np.float32).cumsum(-1), count, 0), "scores": scores}


def rows_contract(batch):
    document = CONTRACT.to_dict()
    document["inputs"][0]["shape"][0] = batch
    for output in document["outputs"]:
        output["shape"] = [batch, 400, output["shape"][2]]
    return Contract.from_dict(document)


def test_a_class_that_has_one_score_everywhere_is_refused():
    contract = rows_contract(1)
    assert check(Rows(), Rows(), Rows(), contract=contract).unproved
    with pytest.raises(CheckFailed, match="class scores have one and the same value in all rows of column 2"):
        check(Rows(dead=2), Rows(dead=2), Rows(), contract=contract)


@pytest.mark.parametrize("batch", ["batch", 2])
def test_a_fault_in_the_second_picture_of_a_batch_is_refused(batch):
    contract = rows_contract(batch)
    with pytest.raises(CheckFailed):
        check(Rows(second=0), Rows(), Rows(), contract=contract)


def test_nothing_to_hold_a_model_against():
    assert check(Session()) is None
    assert check(Session(), Session(), inputs=0) is None
