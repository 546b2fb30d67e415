"""What INT8 costs in accuracy, for every recipe: quantize, evaluate, and a paired bootstrap interval for the change.

    python benchmarks/int8_accuracy.py ASSETS -o docs/accuracy.md

ASSETS holds weights/yolov5n-coco.pt, weights/yolov9t-volleyball-ultralytics.pt, coco-calib/ (images and
instances.json, never reported on), coco-val/ (never calibrated, trained or chosen on), volleyball/calib and
volleyball/val (images and labels). `--only NAME` makes one recipe; `--work DIR` keeps the files that were made, and a
second run makes only what is missing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import qcore
from qcore_plugins.tasks.detection.bootstrap import Matches, difference


@dataclass(frozen=True)
class Recipe:
    """One way to INT8.

    Attributes:
        name: Of the row.
        model: `coco` or `volleyball`.
        options: Of `qcore quantize`; {calib} and the like are filled in.
        backends: Where the files run.
        allowed: How much the figure may drop.
    """

    name: str
    model: str
    options: str
    backends: tuple[str, ...]
    allowed: float


@dataclass(frozen=True)
class Subject:
    """A model with the data to calibrate and to evaluate with."""

    weights: Path
    arguments: tuple[str, ...]
    calib: Path
    labels: Path | None
    data: Path
    figure: str


HEAD = """# What INT8 costs in accuracy

Made by `python benchmarks/int8_accuracy.py ASSETS -o docs/accuracy.md`. Intervals are paired bootstraps over the
pictures of the evaluation set, which took part in nothing else: a change whose interval holds 0 is within the noise.

"""
PACKAGES = ("torch", "pytorch-quantization", "nvidia-modelopt", "nncf", "openvino", "onnxruntime")
BOTH = ("openvino", "onnxruntime")
TORCH = "--quantizer pytorch-quantization"
RECIPES = (
    Recipe("pytorch-quantization PTQ", "coco", TORCH, BOTH, 0.010),
    Recipe("modelopt PTQ", "coco", "--quantizer modelopt", BOTH, 0.010),
    Recipe("nncf PTQ", "coco", "--quantizer nncf", ("openvino",), 0.007),
    Recipe("onnxruntime PTQ", "coco", "--quantizer onnxruntime", ("onnxruntime",), 0.008),
    Recipe("pytorch-quantization, --max-drop .002", "coco", f"{TORCH} --max-drop 0.002 --data {{labels}}", BOTH, 0.004),
    Recipe("pytorch-quantization QAT", "coco", "--quantizer pytorch-quantization --qat", BOTH, 0.003),
    Recipe("pytorch-quantization PTQ", "volleyball", TORCH, BOTH, 0.01),
    Recipe("pytorch-quantization QAT", "volleyball", "--quantizer pytorch-quantization --qat -q steps=100", BOTH, 0.01),
)


def subjects(assets: Path, work: Path) -> dict[str, Subject]:
    """What there is to quantize."""
    coco, volleyball = assets / "coco-calib", assets / "volleyball"
    described = work / "volleyball.yaml"
    described.write_text(f"path: {volleyball.resolve()}\nval: val/images\nnames: [ball]\n", encoding="utf-8")
    return {
        "coco": Subject(
            assets / "weights" / "yolov5n-coco.pt",
            (),
            coco / "images",
            coco / "instances.json",
            assets / "coco-val" / "instances.json",
            "AP",
        ),
        "volleyball": Subject(
            assets / "weights" / "yolov9t-volleyball-ultralytics.pt",
            ("--imgsz", "384", "640", "--preprocess", "picture_aspect=1.77778"),
            volleyball / "calib" / "images",
            None,
            described,
            "AP50",
        ),
    }


def platform() -> str:
    """What computed."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    said = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU unknown")
    return f"{os.cpu_count()} cores, {said}"


def once(stamp: Path, arguments: Sequence[str]) -> float:
    """Run `qcore` unless an earlier call with the same `--work` has; returns the minutes it took."""
    if not stamp.exists():
        begun = time.perf_counter()
        command(*arguments)
        stamp.write_text(f"{(time.perf_counter() - begun) / 60:.1f}\n", encoding="utf-8")
    return float(stamp.read_text(encoding="utf-8"))


def command(*arguments: str) -> None:
    """Run `qcore`, its remarks going through."""
    print(f"$ {' '.join(('qcore', *arguments))}", flush=True)
    subprocess.run([sys.executable, "-m", "qcore", *arguments], check=True)


def matches(file: Path, subject: Subject, backend: str) -> Matches:
    """The file's detections on the evaluation data, matched."""
    detector = qcore.recipe(file).with_backend(backend).with_protocol("upstream").start().predictor()
    judge = qcore.Judge(qcore.plugins, subject.data)
    tally = judge.open(detector.contract)
    judge.fill(tally, detector)
    return tally.matches()


def main() -> None:
    """All recipes, one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("assets", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--only", help="recipes whose name or model contains this")
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    known: dict[tuple[str, str], Matches] = {}
    rows = ["| model | recipe | runs on | figure | float | int8 | change (95 % interval) | allowed | minutes |"]
    rows.append("|---|---|---|---|---|---|---|---|---|")
    commands = []
    for recipe in RECIPES:
        if options.only and options.only not in f"{recipe.model} {recipe.name}":
            continue
        subject = subjects(options.assets, work)[recipe.model]
        loose = subject.figure == "AP50"
        if (recipe.model, "float") not in known:
            out = work / f"{recipe.model}-float"
            command("export", str(subject.weights), *subject.arguments, "--to", "onnx", "-o", str(out))
            file = out / f"{subject.weights.stem}.onnx"
            known[recipe.model, "float"] = matches(file, subject, "onnxruntime")
        reference = known[recipe.model, "float"]
        out = work / f"{recipe.model}-{recipe.name.replace(' ', '-')}"
        given = recipe.options.format(labels=subject.labels).split()
        backends = [word for backend in recipe.backends for word in ("--backend", backend)]
        arguments = (
            *("quantize", str(subject.weights), *subject.arguments, "--calib", str(subject.calib), *given, *backends),
            *("-o", str(out)),
        )
        commands.append(" ".join(("qcore", *arguments)))
        minutes = once(out / "minutes.txt", arguments)
        for backend in recipe.backends:
            folder = out / backend if len(recipe.backends) > 1 else out
            file = next(path for path in folder.iterdir() if path.suffix in {".xml", ".onnx"})
            candidate = matches(file, subject, backend)
            change, low, high = difference(reference, candidate, loose=loose)
            before, after = (each.average_precision(loose=loose) for each in (reference, candidate))
            cells = (
                *(subject.weights.stem, recipe.name, backend, subject.figure, f"{before:.4f}", f"{after:.4f}"),
                *(f"{change:+.4f} ({low:+.4f} to {high:+.4f})", f"{-recipe.allowed:+.3f}", f"{minutes:.1f}"),
            )
            rows.append(f"| {' | '.join(cells)} |")
            print(rows[-1], flush=True)
    rows.append("")
    rows.append(f"{platform()}; {', '.join(f'{name} {version(name)}' for name in PACKAGES)}.")
    said = "\n".join(commands).replace(str(options.assets), "ASSETS").replace(str(work), "WORK")
    text = HEAD + "\n".join(rows) + f"\n\nMade by:\n\n```\n{said}\n```\n"
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
