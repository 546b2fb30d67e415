"""The search for the fewest float layers: few measurements, nothing measured twice, nothing lost."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcore.plugin import CheckFailed, FileError
from qcore_kit.tuning.search import Fit, Trials, search

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
    with pytest.raises(CheckFailed, match=r"best: 0\.3000 with 60, -0\.0050"):
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
    with pytest.raises(FileError, match="belongs to a search with a different"):
        run(3, path=path, identity={"model": "b"})
    path.write_text("[]")
    with pytest.raises(FileError, match="not a search record"):
        run(3, path=path)


def chosen(seed, fit, *, noise=0.002, whole=0.004, allowed=0.002):
    """The true drop of what a search settles on whose measurements are as uncertain as the drop that is allowed."""
    rng = random.Random(seed)
    left = Fit.of([0.9**number for number in range(len(LAYERS))])

    def measure(layers):
        part = left.left[len(layers)]
        return 0.3 - whole * part + rng.gauss(0, noise) * part**0.5

    trials = Trials.read(None, {})
    found = search(
        LAYERS, measure, reference=0.3, max_drop=allowed, trials=trials, say=lambda _: None, fit=left if fit else None
    )
    return whole * left.left[len(found.layers)]


def test_a_fit_keeps_lucky_measurements_from_deciding():
    within = {fit: sum(chosen(seed, fit) <= 0.0025 for seed in range(300)) / 300 for fit in (True, False)}
    assert within[False] < 0.5
    assert within[True] > within[False] + 0.2


def test_a_fit_that_was_right_costs_no_layers():
    assert chosen(0, True, noise=0) == chosen(0, False, noise=0) <= 0.002


def test_the_fit_goes_through_the_float_model():
    fit = Fit.of([3.0, 1.0])
    assert list(fit.left) == [1.0, 0.25, 0.0]
    assert fit.drop(1, {0: 0.004}) == pytest.approx(0.001)
    assert fit.drop(2, {0: 0.004}) == 0
    assert fit.drop(0, {0: -0.004}) == 0
    assert fit.drop(0, {2: 0.004}) == 0
