"""Two copies of one file against each other, many times: how often does `qcore benchmark` see a difference?

    python benchmarks/same_file.py out/yolov5n.xml --times 20

A 95 % interval should hold 1.00 in 19 of 20 runs, on a loaded machine as well: whatever else runs meets both copies
alike.
"""

from __future__ import annotations

import argparse
from collections import Counter

from qcore_kit import machine
from qcore_plugins.tools.benchmark.measuring import benchmark


def main() -> None:
    """Run and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--backend", action="append", default=[])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    print(f"{machine.cpu()['model']}, {machine.cores()} cores, load {machine.load()}")
    held, verdicts = 0, Counter[str]()
    for number in range(options.times):
        given = {"backends": options.backend, "options": {"precision": "f32"}, "rounds": options.rounds}
        ratio = benchmark([options.file] * 2, **given, seed=number).files[1].ratios["inference"]
        held += ratio.low <= 1 <= ratio.high
        verdicts[ratio.verdict] += 1
        print(f"{number:3d}: {ratio.ratio:.3f}x [{ratio.low:.3f}, {ratio.high:.3f}] {ratio.verdict}", flush=True)
    print(
        f"the interval held 1.00 in {held} of {options.times} runs; {dict(verdicts)}; load {machine.load()} at the end"
    )


if __name__ == "__main__":
    main()
