"""The whole job on ncnn: what it finds is what ONNX Runtime finds; its int8 file runs, is compared and checked."""

import json
import os
import runpy
import subprocess
import sys
from importlib import resources
from importlib.metadata import entry_points
from pathlib import Path

import cv2
import numpy as np
import pytest

import qcore

pytest.importorskip("ncnn")
pytest.importorskip("torch", reason="reads checkpoints")
(command,) = entry_points(group="console_scripts", name="qcore")
main = command.load()


@pytest.fixture(scope="module")
def checkpoint():
    """The YOLOv5 that ships with qcore."""
    return Path(str(resources.files("qcore_plugins"))) / "tools" / "demo" / "shapes.pt"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    chance = np.random.default_rng(0)
    for number in range(6):
        picture = np.full((120, 160, 3), chance.integers(60, 200, 3), np.uint8)
        for _ in range(3):
            left, top, size = (int(chance.integers(*ends)) for ends in ((0, 110), (0, 70), (20, 50)))
            color = [int(value) for value in chance.integers(0, 256, 3)]
            if chance.random() < 0.5:
                cv2.circle(picture, (left + size // 2, top + size // 2), size // 2, color, -1)
            else:
                cv2.rectangle(picture, (left, top), (left + size, top + size), color, -1)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    return folder


@pytest.fixture(scope="module")
def files(checkpoint, pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    call = ["quantize", checkpoint, "--calib", pictures, "--quantizer", "onnxruntime", "--backend", "ncnn"]
    assert main([*map(str, call), "--quiet", "-o", str(folder / "int8")]) == 0
    for kind in ("onnx", "ncnn"):
        assert main(["export", str(checkpoint), "--to", kind, "--quiet", "-o", str(folder)]) == 0
    return {"onnx": folder / "shapes.onnx", "float": folder / "shapes.param", "int8": folder / "int8" / "shapes.param"}


def found(capsys, *call):
    assert main([*map(str, call), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_float_finds_what_onnx_runtime_finds(files, pictures, capsys):
    one, other = (found(capsys, "predict", files[name], pictures) for name in ("onnx", "float"))
    assert sum(len(each["results"]) for each in one) >= 6
    for wanted, got in zip(one, other, strict=True):
        assert [each["name"] for each in got["results"]] == [each["name"] for each in wanted["results"]]
        for a, b in zip(wanted["results"], got["results"], strict=True):
            assert abs(a["confidence"] - b["confidence"]) < 1e-4
            assert np.abs(np.subtract(a["box"], b["box"])).max() < 0.05


def test_int8_is_small_and_finds_nearly_the_same(files, pictures, capsys):
    document = found(capsys, "compare", files["onnx"], files["int8"], "--data", pictures)
    steps = {step["step"]: step["verdict"] for step in document["steps"]}
    assert steps["contract"] == steps["inside the graph"] == steps["detections"] == "pass"
    sizes = [files[name].with_suffix(".bin").stat().st_size for name in ("float", "int8")]
    assert sizes[1] < 0.5 * sizes[0]


def test_check_tells_what_stays_float(files, capsys):
    document = found(capsys, "check", files["int8"])
    assert {finding["rule"] for finding in document["findings"]} == {"NCNN101"}
    document = found(capsys, "check", files["onnx"], "--target", "ncnn")
    assert document["findings"] == []


def test_a_file_for_another_runtime_is_told_to_be_one(files, pictures, tmp_path, capsys):
    table = files["int8"].with_suffix(".qtable")
    assert main(["export", str(table), "--to", "onnx", "--profile", "onnxruntime", "--quiet", "-o", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["check", str(tmp_path / "shapes.onnx"), "--target", "ncnn", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert {finding["rule"] for finding in document["findings"]} >= {"NCNN002", "NCNN004"}
    assert main(["predict", str(tmp_path / "shapes.onnx"), str(pictures), "--backend", "ncnn"]) == 4
    assert "no conversion route" in capsys.readouterr().err


def test_the_script_finds_what_predict_finds(files, pictures, tmp_path, capsys):
    assert main(["snippet", str(files["int8"])]) == 0
    script = tmp_path / "script.py"
    script.write_text(capsys.readouterr().out)
    picture = sorted(pictures.iterdir())[0]
    done = subprocess.run([sys.executable, script, picture], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    ((wanted,),) = ([each["results"]] for each in found(capsys, "predict", files["int8"], picture))
    assert [row["name"] for row in rows] == [each["name"] for each in wanted]
    assert np.allclose([row["confidence"] for row in rows], [each["confidence"] for each in wanted], atol=1e-4)


def yolo_nas(shared, folder):
    """YOLO-NAS S with the weights of the fill rule, as a checkpoint."""
    import torch

    fill = runpy.run_path(str(shared / "reference" / "fill_rule.py"))["fill"]
    document = json.loads((shared / "reference" / "yolonas" / "yolo_nas_s.json").read_text())
    weights = {key: torch.tensor(value) for key, value in document["kept"].items()}
    for key, (shape, kind) in document["state_dict"].items():
        if key not in weights:
            floats = kind.startswith("float")
            filled = torch.from_numpy(fill(key, tuple(shape), document["gain"])) if floats else None
            weights[key] = torch.zeros(shape, dtype=torch.long) if filled is None else filled
    torch.save({"net": weights}, folder / "yolo_nas_s.pth")
    return folder / "yolo_nas_s.pth"


@pytest.mark.filterwarnings("ignore::qcore.plugin.AssumptionWarning")
@pytest.mark.parametrize(("family", "head"), [("yolov9", "decoded"), ("yolonas", "raw")])
def test_other_families_give_what_onnx_runtime_gives(family, head, tmp_path):
    shared = Path(os.environ.get("QCORE_SHARED") or "shared")
    if not (shared / "checkpoints").is_dir():
        pytest.skip("set QCORE_SHARED to the folder that holds checkpoints/ and reference/")
    file = shared / "checkpoints" / "yolov9-t-filled.pt" if family == "yolov9" else yolo_nas(shared, tmp_path)
    with qcore.recipe(file, imgsz=128, head=head).start() as run:
        one, other = (run.vary(run.recipe.with_backend(name)).predictor().session for name in ("onnxruntime", "ncnn"))
        (tensor,) = run.contract().inputs
        given = {tensor.name: np.random.default_rng(0).random(tensor.shape, np.float32)}
        wanted, got = one.run(given), other.run(given)
    for name, value in wanted.items():
        assert np.abs(got[name] - value).max() < 1e-5 * np.ptp(value)
