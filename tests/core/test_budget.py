"""The search for the fewest float layers: few measurements, nothing measured twice, nothing lost."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import qcore
from qcore.budget import Trials, search

LAYERS = [f"layer{number}" for number in range(60)]


def run(needed, *, path=None, drop=0.01, identity=None):
    asked = []

    def measure(layers):
        asked.append(len(layers))
        assert list(layers) == LAYERS[: len(layers)]
        return 0.30 if len(layers) >= needed else 0.28

    trials = Trials.read(path, identity or {"model": "a"})
    return search(LAYERS, measure, reference=0.305, max_drop=drop, trials=trials, say=lambda _: None), asked


@given(st.integers(0, 60))
def test_the_fewest_layers_are_found_with_few_measurements(needed):
    found, asked = run(needed)
    assert len(found.layers) == needed
    assert len(asked) == len(set(asked)) <= 13
    assert (found.figure, found.whole) == (0.30, 0.28 if needed else 0.30)


def test_a_budget_that_cannot_be_met_says_what_was_reached():
    with pytest.raises(qcore.CheckFailed, match=r"the best is 0\.3000 with 60 of 60, -0\.0050"):
        run(60, drop=0.001)


def test_a_killed_search_goes_on_with_what_it_knows(tmp_path):
    path = tmp_path / "budget.json"
    _, first = run(20, path=path)
    found, again = run(20, path=path)
    assert first
    assert again == []
    assert len(found.layers) == 20
    kept = json.loads(path.read_text())
    del kept["trials"]["20"]
    path.write_text(json.dumps(kept))
    assert run(20, path=path)[1] == [20]


def test_the_record_of_another_search_is_refused(tmp_path):
    path = tmp_path / "budget.json"
    run(3, path=path)
    with pytest.raises(qcore.FileError, match="another search"):
        run(3, path=path, identity={"model": "b"})
    path.write_text("[]")
    with pytest.raises(qcore.FileError, match="not the record"):
        run(3, path=path)
