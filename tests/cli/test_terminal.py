"""The command line where something around it is missing: a terminal, streams, space, memory, folders."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import qcore
from qcore.cli import console, main
from qcore.cli.console import Output
from qcore.plugin import Predictor
from qcore_kit.boxes.detections import Detections

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a shell")
FULL = Path("/dev/full")


def shell(command, **environment):
    """Exit code, standard output and standard error of `qcore ...` in a shell."""
    words = f"{sys.executable} -m qcore {command}"
    done = subprocess.run(
        ["sh", "-c", words], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("list-plugins >&-", 0),
        ("--help >&-", 0),
        ("list-plugins <&- >&- 2>&-", 0),
        ("inspect absent.onnx 2>&-", 6),
        ("list-plugins | head -1", 0),
        ("--help | true", 0),
    ],
)
def test_closed_streams_are_no_traceback(command, code):
    got, _, err = shell(command)
    assert (got, err) == (code, "")


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("more", ["list-plugins >", "list-plugins --json >", "inspect absent.onnx --json 2>"])
def test_a_full_disk_behind_a_stream_is_one_line(more):
    code, _, err = shell(f"{more} /dev/full")
    assert code == 6
    assert "Traceback" not in err
    assert err == "" or err.splitlines()[0] == "qcore: error: No space left on device"


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(run, exported, pictures, monkeypatch, tmp_path):
    from qcore_kit import results

    image = pictures / "images" / "0000.png"
    code, _, err = run("predict", exported, image, "-o", FULL)
    assert code == 6
    assert err.splitlines()[-2] == "qcore: error: No space left on device"

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results, "json", SimpleNamespace(dumps=full))
    code, _, err = run("predict", exported, image, "-o", tmp_path / "o.json")
    assert code == 6
    assert f"qcore: error: {tmp_path / 'o.json'}: cannot be written (No space left on device)" in err
    assert list(tmp_path.iterdir()) == []


def test_inputs_that_no_temporary_file_has_room_for_are_read_again(run, exported, pictures, monkeypatch, tmp_path):
    from qcore.workflow import inputs

    tried = []

    class Full(io.BytesIO):
        def write(self, _):
            tried.append(1)
            raise OSError(28, "No space left on device")

    command = ("quantize", exported, "--calib", pictures / "images", "--quantizer", "onnxruntime")
    command = (*command, "--backend", "onnxruntime", "--calib-limit", "4")
    assert run(*command, "-o", tmp_path / "one")[0] == 0
    monkeypatch.setattr(inputs, "TemporaryFile", lambda **_: Full())
    assert run(*command, "-o", tmp_path / "other")[0] == 0
    one, other = ((tmp_path / name / "shapes.qtable").read_bytes() for name in ("one", "other"))
    assert one == other
    assert len(tried) >= 4


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you ...")])
def test_short_memory_is_one_line_with_a_hint(run, exported, pictures, monkeypatch, error):
    def short(*_):
        raise error

    monkeypatch.setattr(Predictor, "_infer", short)
    code, _, err = run("predict", exported, pictures / "images" / "0000.png")
    assert code == 5
    assert err.splitlines() == [
        "qcore: error: not enough memory (command predict)", "  hint: choose a smaller input or batch size"
    ]  # fmt: skip


def test_an_input_size_that_no_memory_holds_is_refused(run, checkpoint, tmp_path):
    code, _, err = run("export", checkpoint, "--to", "onnx", "--imgsz", "100000", "-o", tmp_path)
    assert code == 2
    assert "input size 100000 x 100000 is too large: a side has at most 8192 pixels" in err


def test_no_home_and_no_folder_for_temporary_files(exported, pictures, tmp_path):
    image = pictures / "images" / "0000.png"
    home = tmp_path / "home"
    home.mkdir()
    code, out, err = shell(f"predict {exported} {image} --quiet", HOME=str(home), TMPDIR="/nowhere")
    assert (code, len(out.splitlines()), err) == (0, 1, "")
    assert list(home.rglob("*")) == []  # no cache, no identity of the machine
    assert shell(f"predict {exported} {image} --quiet", HOME="/proc/nowhere")[::2] == (0, "")


def test_long_work_says_how_far_it_is_without_a_terminal(run, exported, pictures, monkeypatch):
    monkeypatch.setattr(console, "EVERY", 0)
    command = ("predict", exported, pictures / "images", "--limit", "3", "-o", "/dev/null")
    _, _, err = run(*command)
    lines = [line for line in err.splitlines() if line.startswith("predicting: ")]
    assert [re.sub(r"[\d.e+]+/s", "R/s", line) for line in lines] == [
        f"predicting: {count} of 3, R/s" for count in (1, 2, 3)
    ]
    assert run(*command, "--quiet")[2] == ""
    monkeypatch.undo()
    assert run(*command)[2] == ""


def test_a_step_that_takes_long_is_named_once(monkeypatch, capsys):
    import time

    monkeypatch.setattr(console, "EVERY", 0.01)
    with Output().progress.step("compiling"):
        for _ in range(1000):
            time.sleep(0.01)
            if err := capsys.readouterr().err:
                break
    assert err == "compiling ...\n"


def test_the_bar_has_a_rate(monkeypatch):
    from rich.console import Console

    clock = iter(range(1000))
    shown = io.StringIO()
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock) / 10)
    monkeypatch.setattr(console.Bars, "_shown", True)
    monkeypatch.setattr(Output, "console", lambda *_, **__: Console(file=shown, force_terminal=True, width=100))
    assert list(Output().progress.track(range(5), "predicting", 5)) == list(range(5))
    assert "10/s" in shown.getvalue()


def test_public_objects_are_one_short_line(exported, pictures):
    recipe = qcore.recipe(exported)
    with recipe.start() as run:
        predictor = run.predictor()
        found = predictor(pictures / "images" / "0000.png")
        things = [recipe, run, run.model(), run.contract(), predictor, found, run.host]
        things.append(run.evaluate(pictures / "instances.json"))
    texts = list(map(repr, things))
    assert [text for text in texts if "\n" in text or "array" in text or len(text) > 200] == []
    assert "detection" in repr(run.contract())
    assert f"{found.records()[0]['name']}" in repr(found)
    assert repr(Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))) == "Detections(0)"
    assert re.search(r"AP 0\.\d+", texts[-1])


def test_interrupted_while_arguments_are_read(monkeypatch, capsys):
    from qcore.cli import frame

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(frame, "build", stop)
    assert main(["list-plugins", "--json"]) == 130
    assert capsys.readouterr().err == "interrupted; nothing is half-written\n"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"annotations": []}, "object missing required field images"),
        ({"images": [{"id": 1}], "categories": []}, "images[0]: object missing required field file_name"),
        ({"images": [], "categories": [{"id": 1}]}, "categories[0]: object missing required field name"),
        ([], "expected object, got array"),
    ],
)
def test_what_a_coco_json_lacks_is_said_in_words(run, exported, pictures, tmp_path, document, said):
    (tmp_path / "data.json").write_text(json.dumps(document))
    out = ("--format", "coco", "--data", tmp_path / "data.json", "-o", tmp_path / "o.json")
    code, _, err = run("predict", exported, pictures / "images" / "0000.png", *out)
    assert code == 6
    assert f"data.json: not a COCO json: {said}" in err
