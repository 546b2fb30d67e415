"""TensorRT engines of every precision, built ahead of time: sizes and build times.

    python benchmarks/engines.py yolov5n.pt gelan-t.pt --calib images/ --compute-capability 8.9 -o docs/engines.md

Needs no GPU with tensorrt-rtx. PTQ and QAT calibrate with 16 pictures, and QAT trains 4 steps: enough for files with
the nodes and types of real ones.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

import qcore
from qcore_plugins.runtimes.tensorrt.building import run
from qcore_plugins.runtimes.tensorrt.child import Request
from qcore_plugins.runtimes.tensorrt.packages import choose

PICTURES, STEPS = 16, 4
SHARES = ("engine / float32 ONNX", "weights / float32 ONNX")


def kinds(weights: Path, calib: Path) -> dict[str, qcore.Recipe]:
    """A recipe for each precision."""
    base = qcore.recipe(weights)
    torch = ("pytorch-quantization",)
    return {
        "float32": base,
        "float16": base.with_precision("f16"),
        "INT8 PTQ": base.with_quantizer(*torch, calibration=calib, limit=PICTURES),
        "INT8 QAT": base.with_quantizer(*torch, calibration=calib, limit=PICTURES, qat=True, steps=STEPS, rate=1e-6),
    }


def inside(onnx: Path, capability: str) -> int:
    """Bytes of weights in the engine, as the builder says."""
    request = Request(package=choose(), onnx="", compute_capability=[capability], verbose=True)
    log = run(request, onnx.read_bytes()).log
    return next(int(line.split(":")[-1].split()[0]) for line in log if "Total Weights Memory" in line)


def rows(weights: Path, calib: Path, capability: str, work: Path) -> list[str]:
    """One row of the table for each precision."""
    found, whole = [], 0
    run = qcore.recipe(weights).start()
    for kind, recipe in kinds(weights, calib).items():
        profile = "tensorrt" if kind.startswith("INT8") else None
        onnx = run.vary(recipe.with_backend(None, profile=profile)).save(work / kind, to="onnx")
        built = qcore.recipe(onnx).with_conversion(compute_capability=capability).start().model("tensorrt")
        size, stored, weights_ = len(built.module.plan), onnx.stat().st_size, inside(onnx, capability)
        whole = whole or stored
        cells = (
            *(weights.stem, kind, f"{stored / 1e6:.2f}", f"{size / 1e6:.2f}", f"{weights_ / 1e6:.2f}"),
            *(f"{size / whole:.2f}", f"{weights_ / whole:.2f}"),
            f"{built.module.facts['build_seconds']:.1f}",
        )
        found.append(f"| {' | '.join(cells)} |")
        print(found[-1], flush=True)
    return found


def main() -> None:
    """Build and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="+", type=Path)
    parser.add_argument("--calib", required=True, type=Path)
    parser.add_argument("--compute-capability", default="8.9")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", qcore.AssumptionWarning)
    columns = ("model", "precision", "ONNX, MB", "engine, MB", "weights in it, MB", *SHARES, "build, s")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for weights in options.weights:
        with tempfile.TemporaryDirectory() as work:
            lines += rows(weights, options.calib, options.compute_capability, Path(work))
    if options.out:
        said = (
            f"Built for compute capability {options.compute_capability} by `python benchmarks/engines.py`; the engines "
            f"have not been run. The INT8 rows were calibrated with {PICTURES} images, and QAT trained {STEPS} steps: "
            "only sizes and build times count."
        )
        options.out.write_text("# Engines\n\n" + said + "\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
