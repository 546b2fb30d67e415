"""`python tests/fuzz/run.py CASES [--seed N] [--kind NAME]`: the fuzz of the tests for longer, as a table."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import fuzzed
import harness

import qcore
from qcore.cli import main
from qcore_plugins.tools.demo import shapes
from qcore_plugins.tools.demo.command import CHECKPOINT

COLUMNS = ("read", "refused", "traceback", "internals", "long")


def all_kinds(folder):
    """The bundled detector in every form, beside pictures."""
    shapes.write(folder / "pictures", 12, seed=99)
    exported = qcore.recipe(CHECKPOINT, imgsz=96).start().save(folder / "float", to="onnx")
    call = ["quantize", exported, "--calib", folder / "pictures" / "images", "--quantizer", "onnxruntime", "--quiet"]
    main([*map(str, call), "--backend", "onnxruntime", "-o", str(folder / "int8")])
    (folder / "work").mkdir()
    int8 = folder / "int8" / exported.name
    found = fuzzed.kinds(folder / "work", CHECKPOINT, exported, int8, folder / "pictures", folder / "executed")
    fuzzed.prepare(found, folder / "work")
    return found


def fuzz():
    """Print a row for each kind; exit code 1 where something was wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    chosen = [kind for kind in all_kinds(folder) if options.kind in (None, kind.name)]
    total = Counter()
    print(f"| kind | cases | {' | '.join(COLUMNS)} | s |\n|{'---|' * (len(COLUMNS) + 3)}", flush=True)
    for kind in chosen:
        begun, count = time.time(), options.cases // len(chosen)
        counts, faults = harness.tried(kind, fuzzed.cases(kind, count, options.seed))
        total += counts
        row = " | ".join(str(counts[name]) for name in COLUMNS)
        print(f"| {kind.name} | {count} | {row} | {time.time() - begun:.0f} |", flush=True)
        for fault, number in faults.items():
            print("   ", number, *fault, file=sys.stderr, flush=True)
    executed = (folder / "executed").exists()
    print(f"executed: {'YES' if executed else 'nothing'}")
    return 1 if executed or any(total[name] for name in COLUMNS[2:]) else 0


if __name__ == "__main__":
    sys.exit(fuzz())
