"""Times side by side: everything that is compared runs in turns, so that a change of the machine meets all alike."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, TypeVar

T = TypeVar("T")
Verdict = Literal["faster", "slower", "no difference", "too noisy"]

WIDEST = 1.10
"""Upper over lower end of an interval above which no conclusion is drawn.

A convention of qcore's own: int8 gains on CPUs are between 1.2 and 1.8, and an interval of 10 % tells those from 1 and
from each other. That the interval of a ratio is what decides, rather than two averages, is Kalibera and Jones,
"Rigorous benchmarking in reasonable time" (ISMM 2013).
"""
DRIFT = 1.05
"""Ratio of the second half of the rounds over the first above which no conclusion is drawn; half of `WIDEST`."""
RESAMPLES = 2000
"""Of the bootstrap: the ends of a 95 % interval stand on the 50 most extreme ones at each side."""


def turns(
    runs: Mapping[str, Callable[[], T]], *, rounds: int, seed: int = 0, track: Callable[[range], Iterable[int]] = iter
) -> dict[str, list[T]]:
    """What each run returns, round by round; a round calls every run once, in a new random order.

    Args:
        runs: What to call, by name.
        rounds: How often.
        seed: Of the orders.
        track: Shows how far the rounds are.
    """
    chance = random.Random(seed)  # noqa: S311 - an order, no secret
    order = list(runs)
    given: dict[str, list[T]] = {name: [] for name in runs}
    for _ in track(range(rounds)):
        chance.shuffle(order)
        for name in order:
            given[name].append(runs[name]())
    return given


def laps(stages: Mapping[str, Callable[[Any], Any]], start: Any = None) -> dict[str, float]:
    """Milliseconds of each stage; each is called with what the one before it returned, the first with `start`."""
    taken: dict[str, float] = {}
    value = start
    for name, stage in stages.items():
        begin = time.perf_counter()
        value = stage(value)
        taken[name] = (time.perf_counter() - begin) * 1e3
    return taken


def interleaved(runs: Mapping[str, Callable[[], object]], *, rounds: int = 30, warmup: int = 3) -> dict[str, float]:
    """The median time of each run, in milliseconds.

    Args:
        runs: What to call, by name.
        rounds: How often.
        warmup: Rounds before that are not counted.
    """
    timed = {name: lambda run=run: laps({"": lambda _: run()})[""] for name, run in runs.items()}
    return {name: statistics.median(times[warmup:]) for name, times in turns(timed, rounds=warmup + rounds).items()}


@dataclass(frozen=True)
class Spread:
    """Median and the 10th and 90th percentile."""

    median: float
    p10: float
    p90: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of some values; percentiles by linear interpolation."""
        tenths = statistics.quantiles(values, n=10, method="inclusive") if len(values) > 1 else [values[0]] * 9
        return cls(statistics.median(values), tenths[0], tenths[8])


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as a reference something is.

    Attributes:
        ratio: Time of the reference over time of the candidate: exp of the median of the rounds' log-ratios.
        low: Lower end of its 95 % interval.
        high: Upper end.
        drift: Ratio of the second half of the rounds over that of the first.
    """

    ratio: float
    low: float
    high: float
    drift: float

    @classmethod
    def of(cls, reference: Sequence[Sequence[float]], candidate: Sequence[Sequence[float]], *, seed: int = 0) -> Ratio:
        """Round by round, with a percentile bootstrap over launches and the rounds of each.

        A pair of one round saw the same machine, so what disturbs both cancels in its ratio; the median leaves single
        disturbed rounds out. Each launch of a process has a memory layout of its own, which is worth a percent or two
        and which no number of rounds averages away (Mytkowicz and others, "Producing wrong data without doing anything
        obviously wrong!", ASPLOS 2009); so launches are resampled, and rounds within them (Kalibera and
        Jones, as above).

        Args:
            reference: Times, one a round, for each launch.
            candidate: Times in the same rounds.
            seed: Of the resampling.
        """
        logs = [
            [math.log(one / other) for one, other in zip(*launch, strict=True)]
            for launch in zip(reference, candidate, strict=True)
        ]
        chance = random.Random(seed)  # noqa: S311 - resampling, no secret
        medians = sorted(
            statistics.median(
                chain.from_iterable(chance.choices(one, k=len(one)) for one in chance.choices(logs, k=len(logs)))
            )
            for _ in range(RESAMPLES)
        )
        tail = RESAMPLES // 40
        every = [*chain.from_iterable(logs)]
        half = max(1, len(every) // 2)
        drift = statistics.median(every[-half:]) - statistics.median(every[:half])
        return cls(
            math.exp(statistics.median(every)), math.exp(medians[tail]), math.exp(medians[-1 - tail]), math.exp(drift)
        )

    @property
    def noise(self) -> str:
        """Why no conclusion can be drawn; empty where one can."""
        if self.high / self.low > WIDEST:
            return f"the interval is wider than {WIDEST - 1:.0%}"
        if not 1 / DRIFT <= self.drift <= DRIFT:
            return f"it changed by {abs(self.drift - 1):.0%} between the first and the second half of the rounds"
        return ""

    @property
    def verdict(self) -> Verdict:
        """What can be said: nothing where it was too noisy, no difference where the interval holds 1."""
        if self.noise:
            return "too noisy"
        if self.low <= 1 <= self.high:
            return "no difference"
        return "faster" if self.ratio > 1 else "slower"
