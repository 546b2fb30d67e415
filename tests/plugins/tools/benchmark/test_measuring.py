"""What is concluded from times, and what the processes of a benchmark tell."""

import math
import random
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcore.plugin import FileError, QcoreError, Tensor, UsageError
from qcore_kit import timing
from qcore_kit.timing import DRIFT, WIDEST, Ratio, Spread
from qcore_plugins.tools.benchmark import measuring as benchmarking
from qcore_plugins.tools.benchmark import worker
from qcore_plugins.tools.benchmark.measuring import Measured, benchmark

ROUNDS = 30


def times(seed, *, spread=0.1, factor=1.0):
    chance = random.Random(seed)
    return [30 * factor * math.exp(chance.gauss(0, spread)) for _ in range(ROUNDS)]


def test_every_round_calls_each_once_in_an_order_that_the_seed_decides():
    def orders(seed):
        called = []
        given = timing.turns(
            {name: lambda name=name: called.append(name) or name for name in "abc"}, rounds=8, seed=seed
        )
        assert given == {name: [name] * 8 for name in "abc"}
        return [tuple(called[start : start + 3]) for start in range(0, 24, 3)]

    found = orders(1)
    assert all(sorted(order) == ["a", "b", "c"] for order in found)
    assert len(set(found)) > 1
    assert found == orders(1) != orders(2)


def test_stages_are_chained_and_timed_apart():
    seen = []
    stages = {
        "one": lambda value: seen.append(value) or 2,
        "two": lambda value: seen.append(value) or time.sleep(0.02),
    }
    taken = timing.laps(stages, 1)
    assert seen == [1, 2]
    assert taken["two"] >= 20 > taken["one"] >= 0


def test_medians_leave_the_warm_up_out():
    calls = []

    def slow_at_first():
        calls.append(0)
        time.sleep(0.05 if len(calls) <= 2 else 0)

    assert timing.interleaved({"a": slow_at_first}, rounds=2, warmup=2)["a"] < 50
    assert len(calls) == 4


def test_percentiles():
    assert Spread.of(range(101)) == Spread(50, 10, 90)
    assert Spread.of([3.0]) == Spread(3, 3, 3)


def ratio(reference, candidate, *, launches=5, **given):
    """Of rounds that are dealt out to launches."""
    size = len(reference) // launches
    dealt = [[one[start : start + size] for start in range(0, len(one), size)] for one in (reference, candidate)]
    return Ratio.of(*dealt, **given)


def test_twice_as_fast_is_2_and_half_as_fast_is_one_half():
    reference = times(0)
    faster = ratio(reference, [one / 2 for one in reference])
    assert (faster.ratio, faster.low, faster.high) == pytest.approx((2, 2, 2))
    assert faster.verdict == "faster"
    assert ratio(reference, [one * 2 for one in reference]).ratio == pytest.approx(0.5)
    assert ratio(reference, [one * 2 for one in reference]).verdict == "slower"


@given(st.lists(st.floats(0.1, 10), min_size=ROUNDS, max_size=ROUNDS))
def test_what_disturbs_a_whole_round_cancels(load):
    one, other = times(1), times(2, factor=0.7)
    quiet = ratio(one, other)
    loaded = ratio(
        [a * by for a, by in zip(one, load, strict=True)], [b * by for b, by in zip(other, load, strict=True)]
    )
    assert (loaded.ratio, loaded.low, loaded.high) == pytest.approx((quiet.ratio, quiet.low, quiet.high))


@pytest.mark.parametrize("layout", [0, 0.01, 0.02])
def test_the_interval_of_equal_things_holds_1_about_as_often_as_it_says(layout, monkeypatch):
    monkeypatch.setattr(timing, "RESAMPLES", 400)
    held = 0
    for seed in range(100):
        chance = random.Random(seed)
        shifts = [math.exp(chance.gauss(0, layout)) for _ in range(5)]
        other = [one * shifts[place * 5 // ROUNDS] for place, one in enumerate(times(2 * seed + 1))]
        found = ratio(times(2 * seed), other, seed=seed)
        held += found.low <= 1 <= found.high
    assert held >= 90


def test_more_rounds_do_not_hide_that_there_was_one_launch_of_each():
    one = [[30.0 + place % 3 for place in range(20)] for _ in range(5)]
    other = [[time * by for time in launch] for launch, by in zip(one, (1.03, 0.97, 1.02, 0.98, 1.01), strict=True)]
    found = Ratio.of(one, other)
    assert found.low < 1 / 1.015
    assert found.high > 1 / 0.985


def test_a_few_disturbed_rounds_change_nothing():
    one, other = times(3, spread=0.02), times(4, spread=0.02, factor=0.5)
    other[5:8] = [one * 10 for one in other[5:8]]
    found = ratio(one, other)
    assert found.ratio == pytest.approx(2, rel=0.02)
    assert found.verdict == "faster"


def test_too_noisy_is_said_with_its_reason():
    wide = ratio(times(5, spread=0.5), times(6, spread=0.5, factor=0.5))
    assert wide.high / wide.low > WIDEST
    assert (wide.verdict, wide.noise) == ("too noisy", "the interval is wider than 10%")
    steady = [30.0] * ROUNDS
    drifting = [29.0] * 15 + [27.0] * 15
    found = ratio(steady, drifting)
    assert found.drift > DRIFT
    assert found.verdict == "too noisy"
    assert "changed by 7% between the first and the second half" in found.noise
    assert ratio(steady, [29.0] * 15 + [28.9] * 15).noise == ""


def test_a_type_that_the_runtime_chose_is_named():
    def measured(executed, held):
        return Measured("a", {"executed_precision": executed, "precision": held, "batch": 2}, {}, {}).lowered

    assert measured("bf16", "f32") == measured("int8 (bf16)", "f32") == "bf16"
    assert measured("f16", "f16") == measured("f32", "f32") == measured("int8 (f32)", "f32") == ""


def test_made_up_tensors_where_no_input_can_be_made_up():
    def predictor(*shape):
        return SimpleNamespace(contract=SimpleNamespace(inputs=[Tensor("x", "float32", shape)]))

    assert worker._noise(predictor("batch", 3, 8))["x"].shape == (1, 3, 8)
    assert worker._noise(predictor(2, 3))["x"].dtype == "float32"
    with pytest.raises(UsageError, match="dynamic size") as caught:
        worker._noise(predictor(1, "points"))
    assert "--data" in caught.value.hint


def test_a_process_that_dies_is_told(monkeypatch, exported):
    monkeypatch.setattr(benchmarking, "serve", print)  # ends without an answer
    with pytest.raises(QcoreError, match="the measuring process exited with code 0"):
        benchmark([str(exported)], rounds=2, launches=1)


def test_what_is_wrong_with_a_file_is_told_as_elsewhere(tmp_path, exported):
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(exported.read_bytes()[:5000])
    with pytest.raises(FileError, match=r"damaged.onnx: not a valid ONNX file") as caught:
        benchmark([str(damaged)], rounds=2, launches=1)
    assert caught.value.hint
