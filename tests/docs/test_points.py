"""docs/examples/points.py: a model of two inputs, no pictures, through every step on both runtimes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "points.py"


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """What the example writes, and what it prints."""
    folder = tmp_path_factory.mktemp("points")
    done = subprocess.run([sys.executable, EXAMPLE, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture
def qcore_(work):
    """The command line with the example as a plugin; gives standard output."""

    def run(*arguments, code=0):
        command = [sys.executable, "-m", "qcore", *map(str, arguments)]
        env = {**os.environ, "QCORE_PLUGINS": str(EXAMPLE)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=work[0])
        assert done.returncode == code, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def files(work):
    """The INT8 files of the script."""
    pairs = ("onnxruntime-onnxruntime/points.onnx", "onnxruntime-openvino/points.xml", "nncf-openvino/points.xml")
    return [work[0] / pair for pair in pairs]


def test_two_quantizers_on_two_runtimes_keep_the_accuracy(work):
    rows = {tuple(line.split()[:2]): float(line.split()[2]) for line in work[1].splitlines()}
    assert len(rows) == 5
    whole = rows["float", "onnxruntime"]
    assert whole > 0.8
    assert all(abs(figure - whole) <= 0.03 for figure in rows.values()), rows


def test_quantize_holds_both_files_against_float(qcore_, work):
    told = json.loads(
        qcore_("quantize", "points.onnx", "--calib", "calibration", "--quantizer", "onnxruntime",
               "--backend", "onnxruntime", "--backend", "openvino", "-o", "int8", "--json")
    )  # fmt: skip
    assert [file["parity"]["agree"] for file in told["files"]] == [True, True]
    contract = json.loads(qcore_("contract", "show", "int8/onnxruntime/points.onnx"))
    assert contract["provenance"]["calibration"]["shapes"] == {"points": [1, 3, 96], "mask": [1, 1, 96]}


def test_eval_predict_compare_and_benchmark(qcore_, work, files):
    for file in files:
        figures = json.loads(qcore_("eval", file, "--data", "labels.json", "--json"))
        assert figures["accuracy"] > 0.8
        assert figures["inputs"] == {"points": ["batch", 3, 96], "mask": ["batch", 1, 96]}
    told = json.loads(qcore_("predict", files[0], "clouds", "--save", "shown", "--json"))
    labels = json.loads((work[0] / "labels.json").read_text())
    right = [one["results"][0]["class"] == labels[Path(one["input"]).name] for one in told]
    assert len(right) == 200
    assert sum(right) > 160
    assert (work[0] / "shown" / "000.txt").read_text().endswith(" points\n")
    compared = json.loads(qcore_("compare", "points.onnx", files[0], "--data", "clouds", "--limit", "20", "--json"))
    verdicts = {step["step"]: step["verdict"] for step in compared["steps"]}
    assert compared["passed"]
    assert [verdicts[name] for name in ("contract", "preprocessing", "raw tensors", "inside the graph")] == ["pass"] * 4
    timed = json.loads(qcore_("benchmark", "points.onnx", *files, "--rounds", "2", "--launches", "1", "--json"))
    assert [one["inputs"] for one in timed["files"]] == [1] * 4
    assert all({"preprocess", "inference", "postprocess"} <= set(one["ms"]) for one in timed["files"])


def test_the_mask_is_fed(work, files):
    """With another mask the scores are others: both inputs reach the model."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(work[0] / "points.onnx", providers=["CPUExecutionProvider"])
    points = np.random.default_rng(0).normal(size=(1, 3, 96)).astype(np.float32)
    masks = [np.ones((1, 1, 96), np.float32), np.r_[np.ones(48), np.zeros(48)].reshape(1, 1, 96).astype(np.float32)]
    scores = [session.run(None, {"points": points, "mask": mask})[0] for mask in masks]
    assert np.abs(scores[0] - scores[1]).max() > 0.01
