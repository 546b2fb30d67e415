"""Times side by side: everything that is compared runs in one process, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(runs: Mapping[str, Callable[[], object]], *, rounds: int = 30, warmup: int = 3) -> dict[str, float]:
    """The median time of each, in milliseconds.

    Each round calls every run once, so that a change of the machine's clock or load meets all of them alike.

    Args:
        runs: What to call, by name.
        rounds: How often.
        warmup: Rounds before that are not counted.
    """
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(warmup + rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if number >= warmup:
                taken[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(times) for name, times in taken.items()}
