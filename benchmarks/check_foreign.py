"""What `qcore check` says of files that other tools wrote, beside what the runtimes really do with them.

    python benchmarks/check_foreign.py ASSETS -o docs/check-foreign.md

ASSETS holds weights/yolov5n-coco.pt, weights/yolov9n-wholebody25-480x640.onnx, coco-calib/images and coco-val (images/
and instances.json). Every file is made of the one float ONNX export with its tool's defaults and the same few pictures;
it runs on ONNX Runtime and OpenVINO as it is, in turns with the float model, and its AP is measured on the first
pictures of coco-val. What TensorRT makes of it, the builder of tensorrt-rtx tells, which needs no GPU. `--work DIR`
keeps the files.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from foreign_files import PICTURES, TARGETS, made

import qcore
from qcore.workflow.evaluating import Judge
from qcore.workflow.predictor import assembled
from qcore_kit.timing import interleaved
from qcore_plugins.runtimes.tensorrt.building import run, words
from qcore_plugins.runtimes.tensorrt.child import Request
from qcore_plugins.tools.check import checking

RUNTIMES = ("openvino", "onnxruntime")
WHOLEBODY = {"input_bgr": [[1, 3, 480, 640]] * 3}
"""Shapes of the one input that is dynamic: smallest, usual, largest."""


class Session:
    """A file on a runtime as anyone would run it: read, compiled with float32 pinned, nothing rewritten."""

    executed_precision = "as in the file"

    def __init__(self, path: Path, runtime: str) -> None:
        if runtime == "openvino":
            import openvino

            core = openvino.Core()
            made = core.compile_model(core.read_model(str(path)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            self._run: Callable[[dict[str, Any]], list[Any]] = lambda given: list(made(given).values())
        else:
            import onnxruntime

            settings = onnxruntime.SessionOptions()
            settings.log_severity_level = 4
            session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
            self._run = partial(session.run, None)

    def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The one output."""
        return {"output0": self._run(dict(inputs))[0]}


def average_precision(path: Path, runtime: str, judge: Judge, contract: qcore.Contract) -> str:
    """AP, or what the runtime says instead."""
    try:
        session = Session(path, runtime)
        protocol = judge.protocol(contract)
        return f"{judge(assembled(contract, session, runtime, plugins=qcore.plugins, protocol=protocol)):.3f}"
    except Exception as error:  # noqa: BLE001 - the refusal of a runtime is what is asked for
        return f"refused: {str(error).strip().splitlines()[-1][:120]}"


def times(files: dict[str, Path], runtime: str, picture: dict[str, Any], rounds: int) -> dict[str, float]:
    """Median milliseconds of every file that runs, in turns."""
    sessions = {}
    for name, path in files.items():
        try:
            session = Session(path, runtime)
            session.run(picture)
            sessions[name] = session
        except Exception:  # noqa: BLE001, S112 - see `average_precision`
            continue
    return interleaved({name: partial(one.run, picture) for name, one in sessions.items()}, rounds=rounds)


def built(path: Path) -> str:
    """What the parser and the builder of tensorrt-rtx say, asked in a process of its own."""
    shapes = WHOLEBODY if "wholebody" in path.name else None
    request = Request("tensorrt_rtx", "", shapes=shapes, compute_capability=["8.9"])
    try:
        done = run(request, path.read_bytes())
    except qcore.FileError as error:
        return error.message
    if done.plan:
        return f"builds, engine of {len(done.plan) / 1e6:.1f} MB"
    told = " ".join(words(error) for error in done.errors)
    why = told.partition("ssertion failed: ")[2] or told
    return f"refused: {why.partition('; ModelImporter')[0][:200]}"


def said(path: Path, target: str) -> str:
    """What `qcore check` says without the runtime's own parser: rules with their counts."""
    found = checking.check(path, target, plugins=qcore.plugins, ignore=["TRT9"]).findings
    parts = []
    for severity in checking.SEVERITIES:
        counts = Counter(one.rule for one in found if one.severity == severity)
        listed = ", ".join(f"{rule} x{count}" if count > 1 else rule for rule, count in sorted(counts.items()))
        parts += [f"{severity}: {listed}"] if listed else []
    return "; ".join(parts) or "nothing"


def subset(assets: Path, work: Path, count: int) -> Judge:
    """The first pictures of coco-val."""
    document = json.loads((assets / "coco-val" / "instances.json").read_text())
    document["images"] = sorted(document["images"], key=lambda one: one["file_name"])[:count]
    kept = {one["id"] for one in document["images"]}
    document["annotations"] = [one for one in document["annotations"] if one["image_id"] in kept]
    path = work / "instances.json"
    path.write_text(json.dumps(document))
    return Judge(qcore.plugins, path, assets / "coco-val" / "images")


def masked(path: Path, isa: str, options: argparse.Namespace, work: Path) -> str:
    """AP on OpenVINO with instructions of this CPU masked out, in a process of its own."""
    command = [sys.executable, __file__, str(options.assets), "--work", str(work), "--pictures", str(options.pictures)]
    given = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa}
    done = subprocess.run([*command, "--measure", str(path)], capture_output=True, text=True, check=True, env=given)
    return f"AP {done.stdout.strip().splitlines()[-1]} on OpenVINO with {isa}"


def read_as_int8(path: Path, work: Path) -> Path:
    """The file as TensorRT's parser reads it: uint8 with zero point 0 becomes int8."""
    model = onnx.load(path)
    points = {node.input[2] for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")}
    for tensor in model.graph.initializer:
        value = onnx.numpy_helper.to_array(tensor)
        if tensor.name in points and value.dtype == np.uint8 and not value.any():
            tensor.CopyFrom(onnx.numpy_helper.from_array(value.astype(np.int8), tensor.name))
    del model.graph.value_info[:]
    out = work / f"{path.stem}-as-int8.onnx"
    onnx.save(model, out)
    return out


def evidence(
    files: dict[str, Path],
    truth: dict[tuple[str, str], str],
    measure: Callable[[Path, str], str],
    mask: Any,
    work: Path,
) -> Iterator[tuple[str, str]]:
    """Rules, and how it is known that they are right about these files."""
    ort, nncf, modelopt = "ONNX Runtime quantize_static", "NNCF on ONNX", "modelopt from torch"
    yield "TRT001", f"zero points: {truth[ort, 'tensorrt']}"
    cut = measure(read_as_int8(files[nncf], work), "onnxruntime")
    whole = truth[nncf, "onnxruntime"]
    yield "TRT001", f"uint8 from 0: {nncf} read as int8 has AP {cut} on ONNX Runtime, as it is {whole}"
    yield "TRT007", truth["YOLOv9 wholebody, PINTO", "tensorrt"]
    yield "TRT009", truth["qcore for onnxruntime", "tensorrt"]
    yield "TRT003, TRT004, TRT005", "accepted; what it costs was not timed, that takes an RTX GPU"
    for name in ("qcore for tensorrt", nncf):
        yield "OV001", f"{name}: {mask(files[name], 'AVX512_CORE_VNNI')}; on this CPU {truth[name, 'openvino']}"
    name = "qcore for openvino"
    yield "OV001", f"{name} (uint8): {mask(files[name], 'AVX512_CORE_VNNI')}"
    yield "QDQ006", f"{name}: {mask(files[name], 'AVX512_CORE')} (no VNNI); on this CPU {truth[name, 'openvino']}"
    yield "QDQ010", f"{ort}: {truth[ort, 'onnxruntime']} on ONNX Runtime, {truth[ort, 'openvino']} on OpenVINO"
    split, kept = truth["qcore for onnxruntime", "openvino"], truth["qcore for openvino", "openvino"]
    yield "QDQ012", f"on OpenVINO, qcore for onnxruntime (split): {split}; qcore for openvino (whole): {kept}"
    yield "ORT001", f"on ONNX Runtime, {nncf}: {whole}; qcore: {truth['qcore for onnxruntime', 'onnxruntime']}"
    sizes = [files[name].stat().st_size / 1e6 for name in (modelopt, "qcore for tensorrt", "float export")]
    yield "QDQ017", "{}: {:.1f} MB; qcore: {:.1f} MB, float: {:.1f} MB".format(modelopt, *sizes)


def main() -> None:
    """Make, check, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("assets", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--pictures", type=int, default=60, help="of coco-val to measure AP on")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--measure", type=Path, help="print the AP of this file on OpenVINO, and nothing else")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp())
    work.mkdir(exist_ok=True)
    judge = subset(options.assets, work, options.pictures)
    contract = qcore.load(options.measure).contract if options.measure else None
    if contract:
        print(average_precision(options.measure, "openvino", judge, contract))
        return
    files = dict(made(options.assets, work))
    contract = qcore.load(files["float export"]).contract
    picture = {"images": np.random.default_rng(0).random((1, 3, 640, 640), np.float32)}
    measured = {runtime: times(files, runtime, picture, options.rounds) for runtime in RUNTIMES}
    files["YOLOv9 wholebody, PINTO"] = options.assets / "weights" / "yolov9n-wholebody25-480x640.onnx"
    truth, rows = {}, ["| file | MB | target | qcore check | the runtime itself |", "|---|---|---|---|---|"]
    for name, path in files.items():
        for target in TARGETS:
            if target == "tensorrt":
                truth[name, target] = built(path)
            elif "wholebody" in name:
                truth[name, target] = "runs it" if _runs(path, target) else "refuses it"
            else:
                taken = measured[target]
                speed = f", {taken[name]:.0f} ms ({taken['float export'] / taken[name]:.2f}x of float)" * (
                    name in taken
                )
                truth[name, target] = f"AP {average_precision(path, target, judge, contract)}{speed}"
            size = path.stat().st_size / 1e6
            rows.append(f"| {name} | {size:.1f} | {target} | {said(path, target)} | {truth[name, target]} |")
            print(rows[-1], flush=True)
    rows += ["", "How it is known that the findings are right:", "", "| rule | evidence |", "|---|---|"]
    measure = partial(average_precision, judge=judge, contract=contract)
    mask = partial(masked, options=options, work=work)
    for rule, told in evidence(files, truth, measure, mask, work):
        rows.append(f"| {rule} | {told} |")
        print(rows[-1], flush=True)
    tools = ("onnxruntime", "openvino", "nncf", "nvidia-modelopt", "tensorrt-rtx")
    versions = ", ".join(f"{name} {version(name)}" for name in tools)
    text = (
        "\n".join(rows) + f"\n\n{versions}; {PICTURES} calibration pictures, AP on {options.pictures} pictures of COCO "
    )
    text += "val2017, times in turns on one core of a CPU with AMX, float32 pinned.\n"
    if options.out:
        head, mark, _ = options.out.read_text(encoding="utf-8").partition("<!-- measured -->\n")
        options.out.write_text(f"{head}{mark}\n{text}", encoding="utf-8")


def _runs(path: Path, runtime: str) -> bool:
    try:
        session = Session(path, runtime)
        session._run({"input_bgr": np.zeros((1, 3, 480, 640), np.float32)})
    except Exception:  # noqa: BLE001 - see `average_precision`
        return False
    return True


if __name__ == "__main__":
    main()
