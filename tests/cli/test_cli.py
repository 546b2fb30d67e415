"""The command line as its users meet it: what it prints, what it writes, how it fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

import qcore
from qcore.cli import main
from qcore.plugin import CommandSpec, FileError

HEAVY = ("torch", "onnx", "onnxruntime", "openvino", "nncf", "cv2", "numpy", "rich")
KEYS = {"kind", "name", "plugin", "version", "distribution", "status", "hint"}


@pytest.fixture
def picture(pictures):
    return pictures / "images" / "0000.png"


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def test_list_plugins_names_every_bundled_component(run):
    code, out, _ = run("list-plugins", "--json")
    rows = json.loads(out)
    assert code == 0
    assert all(set(row) >= KEYS for row in rows)
    found = {(row["kind"], row["name"]) for row in rows}
    assert found >= {
        ("loader", "yolov5"), ("quantizer", "nncf"), ("quantizer", "onnxruntime"), ("preprocessor", "letterbox"),
        ("postprocessor", "yolo"), ("backend", "onnxruntime"), ("backend", "openvino"), ("backend", "torch"),
        ("format", "onnx"), ("format", "openvino"), ("format", "checkpoint"), ("converter", "torch-onnx"),
        ("evaluator", "detection"), ("command", "demo"),
    }  # fmt: skip
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["distribution"] for row in rows} == {"qcore-quant"}


def test_list_plugins_as_a_table(run):
    _, out, _ = run("list-plugins", "--kind", "quantizer")
    assert out.splitlines()[0].split()[:4] == ["KIND", "NAME", "PLUGIN", "VERSION"]
    assert "nncf" in out
    assert "letterbox" not in out


@pytest.mark.parametrize("command", [["list-plugins"], ["plan", "yolov5", "nncf", "openvino"], ["--help"]])
def test_nothing_heavy_is_imported_before_it_is_needed(command):
    script = (
        "import sys\nfrom qcore.cli import main\n"
        f"assert main({command!r}) == 0\n"
        f"print('imported:', *[name for name in {HEAVY[:6]!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "imported:"


def test_plan_tells_the_route(run, checkpoint):
    code, out, _ = run("plan", checkpoint, "onnxruntime", "openvino", "--json")
    steps = [step["name"] for step in json.loads(out)["steps"]]
    assert (code, steps) == (0, ["torch-onnx", "onnxruntime", "openvino", "onnx-openvino", "openvino"])


def test_plan_without_names_lists_all_routes(run):
    _, out, _ = run("plan", "yolov5", "--json")
    found = {(row["quantizer"], row["backend"]) for row in json.loads(out)}
    assert found >= {("nncf", "openvino"), ("onnxruntime", "onnxruntime"), ("onnxruntime", "openvino")}
    assert ("nncf", "onnxruntime") not in found


def test_no_route_says_what_there_is_instead(run):
    code, _, err = run("plan", "yolov5", "nncf", "onnxruntime")
    assert code == 4
    assert "openvino (native" in err
    assert "onnx (float" in err


def test_inspect_tells_what_is_inside(run, checkpoint):
    code, out, _ = run("inspect", checkpoint, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["family"] == "yolov5"
    assert found["contract"]["classes"] == ["ellipse", "rectangle", "triangle", "star"]
    _, out, _ = run("inspect", checkpoint)
    assert "letterbox fit=contain" in " ".join(out.split())


def test_export_predict_and_draw(run, checkpoint, picture, tmp_path):
    code, out, _ = run("export", checkpoint, "--to", "onnx", "--imgsz", "160", "192", "-o", tmp_path / "out", "--json")
    assert code == 0
    assert files(tmp_path / "out") == ["shapes.onnx"]
    assert json.loads(out)["file"] == str(tmp_path / "out" / "shapes.onnx")
    code, out, _ = run("predict", tmp_path / "out" / "shapes.onnx", picture, "--save", tmp_path / "shown", "--json")
    (document,) = json.loads(out)
    assert code == 0
    assert document["results"]
    assert set(document["results"][0]) == {"name", "class_id", "confidence", "box"}
    assert files(tmp_path / "shown") == ["0000.jpg"]


def test_the_export_finds_what_the_checkpoint_finds(run, checkpoint, exported, pictures):
    found = [json.loads(run("predict", model, pictures / "images", "--json")[1]) for model in (checkpoint, exported)]
    for ours, theirs in zip(*found, strict=True):
        assert [row["name"] for row in ours["results"]] == [row["name"] for row in theirs["results"]]
        for one, other in zip(ours["results"], theirs["results"], strict=True):
            assert np.abs(np.subtract(one["box"], other["box"])).max() < 0.1
            assert one["confidence"] == pytest.approx(other["confidence"], abs=1e-4)


@pytest.mark.parametrize(
    ("quantizer", "backend", "names"),
    [
        ("onnxruntime", "onnxruntime", ["shapes.onnx", "shapes.qtable"]),
        ("onnxruntime", "openvino", ["shapes.bin", "shapes.qtable", "shapes.xml"]),
        ("nncf", "openvino", ["shapes.bin", "shapes.xml"]),
    ],
)
def test_quantize_writes_a_file_that_knows_how_it_was_made(
    run, checkpoint, pictures, tmp_path, quantizer, backend, names
):
    code, out, err = run(
        "quantize", checkpoint, "--calib", pictures / "images", "--quantizer", quantizer, "--backend", backend,
        "--imgsz", "160", "224", "--calib-limit", "5", "-o", tmp_path, "--json",
    )  # fmt: skip
    assert code == 0, err
    assert all(line.startswith(("weights kept within +-64", "calibration on 5 inputs")) for line in err.splitlines())
    assert files(tmp_path) == names
    file = json.loads(out)["file"]
    said = json.loads(run("contract", "show", file)[1])["provenance"]
    assert said["calibration"]["pictures"] == 5
    assert said["calibration"]["shape"] == [1, 3, 160, 224]
    assert len(said["calibration"]["sha256"]) == 64
    assert said["quantization"]["quantizer"] == quantizer
    assert said["family"] == "yolov5"
    code, out, _ = run("eval", file, "--data", pictures / "instances.json", "--json")
    figures = json.loads(out)
    assert set(figures) >= {
        "AP", "AP50", "precision", "recall", "F1", "threshold", "images", "imgsz", "backend", "executed_precision",
        "protocol", "file",
    }  # fmt: skip
    assert (figures["backend"], figures["images"], figures["imgsz"]) == (backend, 12, [160, 224])
    assert figures["executed_precision"].startswith("int8")
    assert figures["AP50"] > 0.3


def test_the_same_pictures_give_the_same_file(run, exported, pictures, tmp_path):
    for name in ("one", "two"):
        run(
            "quantize", exported, "--calib", pictures / "images", "--quantizer", "onnxruntime",
            "--backend", "onnxruntime", "-o", tmp_path / name,
        )  # fmt: skip
    assert (tmp_path / "one" / "shapes.onnx").read_bytes() == (tmp_path / "two" / "shapes.onnx").read_bytes()


def test_eval_measures_the_float_model_and_says_how(run, checkpoint, pictures):
    code, out, err = run("eval", checkpoint, "--data", pictures / "instances.json", "--protocol", "upstream", "--quiet")
    assert (code, err) == (0, "")
    assert "upstream" in out
    assert "torch" in out


def test_classes_are_renamed_on_the_command_line(run, int8, pictures, tmp_path):
    document = json.loads((pictures / "instances.json").read_text())
    document["categories"][0]["name"] = "oval"
    data = tmp_path / "data.json"
    data.write_text(json.dumps(document))
    images = ("--images", pictures / "images")
    code, out, err = run("eval", int8, "--data", data, *images, "--json")
    assert (code, json.loads(out)["classes"]) == (0, 3)
    assert "oval" in err
    code, out, _ = run("eval", int8, "--data", data, *images, "--classes", "ellipse=oval", "--json")
    assert (code, json.loads(out)["classes"]) == (0, 4)


def test_pictures_that_cannot_be_read_are_named_and_skipped(run, int8, picture, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    code, out, err = run("predict", int8, picture, tmp_path / "text.jpg", "--json")
    assert (code, ["error" in document for document in json.loads(out)]) == (0, [False, True])
    assert "text.jpg: not a readable picture" in err
    assert run("predict", int8, tmp_path / "text.jpg")[0] == 6


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["predict", "absent.onnx", "{picture}"], 6, "absent.onnx: no such file"),
        (["predict", "{text}", "{picture}"], 6, "not a model file of a known format"),
        (["predict", "{empty}", "{picture}"], 6, "the file is empty"),
        (["predict", "{cut}", "{picture}"], 6, "cannot read this checkpoint"),
        (["predict", "{cutonnx}", "{picture}"], 6, "not a valid ONNX file"),
        (["predict", "{int8}", "absent.jpg"], 6, "absent.jpg: no such file or folder"),
        (["predict", "{int8}", "{nothing}"], 6, "no picture in this folder"),
        (["predict", "{int8}", "{picture}", "--rect"], 2, "the model on onnxruntime expects"),
        (["predict", "{int8}", "{picture}", "--confidence", "2"], 2, "confidence 2.0 is not between 0 and 1"),
        (["predict", "{int8}", "{picture}", "--imgsz", "320"], 2, "cannot change imgsz of an exported file"),
        (["predict", "{int8}", "{picture}", "--backend", "onnxruntme"], 2, "did you mean onnxruntime"),
        (["predict", "{int8}", "{picture}", "--backend", "torch"], 4, "omit --backend for one that can"),
        (["eval", "{int8}", "--data", "absent.json"], 6, "absent.json: no such file"),
        (["eval", "{int8}", "--data", "{text}"], 6, "not a COCO detection json"),
        (["eval", "{int8}", "--data", "{labels}", "--protocol", "mine"], 2, "no protocol 'mine'"),
        (["export", "{checkpoint}", "--to", "tflite", "-o", "{out}"], 2, "unknown output format 'tflite'"),
        (["export", "{checkpoint}", "--to", "onnx", "--imgsz", "100", "-o", "{out}"], 2, "multiples of 32"),
        (["export", "{checkpoint}", "--to", "onnx", "-o", "{text}/out"], 6, "cannot be written to"),
        (["export", "{checkpoint}", "--to", "onnx", "-o", "/proc/out"], 6, "/proc/out: cannot be written to"),
        (["quantize", "{checkpoint}", "--calib", "{nothing}", "{q}"], 6, "no picture in this folder"),
        (["quantize", "{checkpoint}", "--calib", "absent", "{q}"], 6, "absent: no such file or folder"),
        (["quantize", "{checkpoint}", "--calib", "{texts}", "{q}"], 6, "no readable calibration inputs"),
        (["quantize", "{checkpoint}", "--calib", "{images}", "{q}", "-q", "method=best"], 2, "'best' is not one of"),
        (["quantize", "{checkpoint}", "--calib", "{images}", "{q}", "-q", "bits=4"], 2, "unknown option bits"),
        (["quantize", "{int8}", "--calib", "{images}", "{q}"], 4, "the model is quantized already"),
        (["contract", "show", "{checkpoint}"], 6, "the file has no contract"),
        (["contract", "attach", "{checkpoint}", "--family", "yolov5", "-o", "{out}"], 2, "cannot hold a contract"),
        (["nonsense"], 2, "there is no command nonsense"),
        ([], 2, "required"),
    ],
)  # fmt: skip
def test_errors_are_one_line_and_a_hint(run, tmp_path, checkpoint, exported, int8, pictures, arguments, code, message):
    places = {
        "checkpoint": checkpoint, "int8": int8, "picture": pictures / "images" / "0000.png",
        "images": pictures / "images", "labels": pictures / "instances.json", "out": tmp_path / "out",
    }  # fmt: skip
    for name, content in {
        "text": b"these are notes\n",
        "empty": b"",
        "cut": checkpoint.read_bytes()[:5000],
        "cutonnx": exported.read_bytes()[:5000],
    }.items():
        places[name] = tmp_path / name
        places[name].write_bytes(content)
    for name in ("nothing", "texts"):
        places[name] = tmp_path / name
        places[name].mkdir()
    (tmp_path / "texts" / "a.jpg").write_text("no picture")
    q = ["--quantizer", "onnxruntime", "--backend", "onnxruntime", "-o", tmp_path / "out"]
    given = [part for word in arguments for part in (q if word == "{q}" else [word.format(**places)])]
    got, out, err = run(*given)
    assert got == code
    assert message in err
    lines = [line for line in err.splitlines() if not line.startswith("skipped: ")]
    assert lines[0].startswith("qcore: error: ")
    assert len(lines) <= 2
    assert "Traceback" not in err
    assert out == ""
    assert not (tmp_path / "out").exists() or files(tmp_path / "out") == []


def test_a_file_without_a_contract_is_refused_until_one_is_attached(run, exported, picture, tmp_path):
    bare = onnx.load(str(exported))
    del bare.metadata_props[:]
    onnx.save(bare, str(tmp_path / "bare.onnx"))
    code, _, err = run("predict", tmp_path / "bare.onnx", picture)
    assert code == 6
    assert "the file has no contract" in err
    assert f"qcore contract attach {tmp_path}/bare.onnx" in err
    names = tmp_path / "names.txt"
    names.write_text("ellipse\nrectangle\ntriangle\n")
    attach = (
        "contract",
        "attach",
        tmp_path / "bare.onnx",
        "--family",
        "yolov5",
        "--names",
        names,
        "-o",
        tmp_path / "o",
    )
    code, _, err = run(*attach)
    assert code == 6
    assert "3 class names for an output with 4 classes" in err
    names.write_text("ellipse\nrectangle\ntriangle\nstar\n")
    assert run(*attach)[0] == 0
    given = json.loads(run("predict", tmp_path / "o" / "bare.onnx", picture, "--json")[1])
    assert given == json.loads(run("predict", exported, picture, "--json")[1])


def test_a_contract_that_does_not_fit_the_file_is_refused(run, exported, tmp_path):
    said = json.loads(run("contract", "show", exported)[1])
    said["inputs"][0]["shape"] = [1, 3, 640, 640]
    (tmp_path / "c.json").write_text(json.dumps(said))
    code, _, err = run("contract", "attach", exported, "--contract", tmp_path / "c.json", "-o", tmp_path / "o")
    assert code == 6
    assert "[1, 3, 416, 416] in the file and [1, 3, 640, 640] in the contract" in err


def test_an_export_does_not_replace_what_it_was_made_from(run, exported, pictures):
    before = exported.read_bytes()
    code, _, err = run(
        "quantize", exported, "--calib", pictures / "images", "--quantizer", "onnxruntime", "--backend", "onnxruntime",
        "-o", exported.parent,
    )  # fmt: skip
    assert code == 2
    assert "would be overwritten" in err
    assert exported.read_bytes() == before


INTERRUPT = """
import os, signal, sys
from qcore.cli import main
from qcore_kit.quantization import calibration
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with it ignored
seen = calibration.Histogram.add
calls = iter(range(10**9))
def add(self, values):
    if next(calls) == 300:
        os.kill(os.getpid(), signal.SIGINT)
    return seen(self, values)
calibration.Histogram.add = add
sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_during_calibration_leaves_no_file(exported, pictures, tmp_path):
    arguments = [
        "quantize", exported, "--calib", pictures / "images", "--quantizer", "onnxruntime", "--backend", "onnxruntime",
        "-o", tmp_path / "out",
    ]  # fmt: skip
    before = set(Path("/tmp").iterdir())
    done = subprocess.run([sys.executable, "-c", INTERRUPT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert "interrupted; nothing is half-written" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    assert not [path for path in set(Path("/tmp").iterdir()) - before if "qcore-" in path.name]


def test_predict_does_not_draw_over_its_inputs(run, int8, picture, tmp_path):
    mine = tmp_path / "mine.jpg"
    mine.write_bytes(picture.read_bytes())
    code, _, err = run("predict", int8, mine, "--save", tmp_path)
    assert code == 2
    assert "would be overwritten by its drawing" in err
    assert mine.read_bytes() == picture.read_bytes()


def test_attach_replaces_a_file_only_in_place(run, exported, tmp_path):
    copy = tmp_path / "model.onnx"
    copy.write_bytes(exported.read_bytes())
    attach = ("contract", "attach", copy, "--family", "yolov5")
    assert run(*attach, "-o", tmp_path)[0] == 2
    assert copy.read_bytes() == exported.read_bytes()
    code, _, err = run(*attach, "--preprocess", "padd=1", "--in-place")
    assert (code, "letterbox has no parameter padd" in err) == (2, True)
    assert copy.read_bytes() == exported.read_bytes()
    assert run(*attach, "--in-place")[0] == 0


def test_flags_are_taken_in_full_only(run):
    assert run("list-plugins", "--jso")[0] == 2


def test_every_command_has_an_example_in_its_help(run):
    for name in ["list-plugins", *(spec.name for spec in qcore.plugins.specs(CommandSpec))]:
        code, out, _ = run(name, "--help")
        assert code == 0
        assert "example: qcore " in out


def test_version(run):
    assert run("--version")[1] == f"qcore {qcore.__version__}\n"


def test_debug_shows_the_traceback(run):
    with pytest.raises(FileError):
        run("inspect", "absent.pt", "--debug")


MEMORY = """
import itertools, pathlib, sys
import qcore
def rss():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
detector = qcore.predictor(sys.argv[1])
pictures = sorted(pathlib.Path(sys.argv[2]).iterdir())
sizes = []
for number, found in enumerate(detector.stream(itertools.islice(itertools.cycle(pictures), 1000)), 1):
    if number in (200, 1000):
        sizes.append(rss())
assert number == 1000
print(sizes[1] - sizes[0])
"""


def test_a_thousand_pictures_keep_memory_flat(int8, pictures):
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, int8, pictures / "images"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 10


NETWORK = """
import sys
asked = []
def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        asked.append((event, str(arguments[1:])))
sys.addaudithook(hook)
from qcore.cli import main
code = main(sys.argv[1:])
import threading, time
deadline = time.monotonic() + 10
while threading.active_count() > 1 and time.monotonic() < deadline:
    time.sleep(0.1)
print(asked)
sys.exit(code)
"""


def test_nothing_is_sent_anywhere(exported, pictures, tmp_path):
    """NNCF and OpenVINO send usage statistics unless told not to; NNCF leaves that out under pytest, so: a child."""
    arguments = [
        "quantize", exported, "--calib", pictures / "images", "--quantizer", "nncf", "--backend", "openvino",
        "-o", tmp_path, "--quiet",
    ]  # fmt: skip
    clean = {name: value for name, value in os.environ.items() if name not in {"CI", "NNCF_CI", "PYTEST_CURRENT_TEST"}}
    done = subprocess.run(
        [sys.executable, "-c", NETWORK, *arguments], capture_output=True, text=True, check=False, env=clean
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.fixture(scope="module")
def parts(int8, pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    for number in ("1", "2"):
        call = ["eval", str(int8), "--data", str(pictures / "instances.json"), "--protocol", "upstream"]
        assert main([*call, "--part", f"{number}/2", "-o", str(folder / f"{number}.json")]) == 0
    return folder


def test_an_evaluation_in_parts_is_the_same(run, int8, pictures, parts):
    call = ("eval", int8, "--data", pictures / "instances.json", "--protocol", "upstream", "--json")
    whole = run(*call)[1]
    code, out, err = run(*call, "--merge", parts / "2.json", parts / "1.json")
    assert code == 0, err
    assert out == whole


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--merge", "1.json"], "part 2 of 2 is missing"),
        (["--merge", "1.json", "2.json", "1.json"], "1.json: is named twice"),
        (["--merge", "bad.json", "2.json"], "bad.json: not the results of a part"),
        (["--merge", "1.json", "2.json", "--confidence", "0.5"], "made under other conditions (contract)"),
        (["--part", "3/2", "-o", "a.json"], "--part 3/2: expected K/N"),
        (["--part", "1/2"], "--part needs -o FILE"),
        (["--part", "1/2", "-o", "a.json", "--report", "page"], "--part has no figures to report"),
        (["-o", "a.json"], "-o goes with --part K/N"),
        (["--merge", "1.json", "2.json", "--backend", "openvino"], "the parts ran on onnxruntime, not on openvino"),
        (["--merge", "deep.json", "2.json"], "deep.json: not the results of a part"),
    ],
)
def test_parts_that_do_not_make_a_whole_are_refused(run, int8, pictures, parts, arguments, said):
    (parts / "bad.json").write_text("{}")
    (parts / "deep.json").write_text("[" * 100_000)
    words = [str(parts / word) if word.endswith(".json") else word for word in arguments]
    code, _, err = run("eval", int8, "--data", pictures / "instances.json", "--protocol", "upstream", *words)
    assert code in (2, 6)
    assert said in err


def test_errors_under_json_are_one_document(run):
    code, out, err = run("predict", "nowhere.onnx", "a.png", "--json")
    document = json.loads(out)
    assert (code, document["code"], document["error"]) == (6, 6, "nowhere.onnx: no such file")
    assert document["hint"]
    assert "qcore: error: nowhere.onnx: no such file" in err


def test_a_misspelt_flag_is_suggested(run):
    assert (
        "unrecognized arguments: --conf 0.3; did you mean --confidence?" in run("predict", "a", "b", "--conf", "0.3")[2]
    )
    assert "did you mean --calib?" in run("quantize", "a", "--calibration", "b", "--calib", "c", "-o", "d")[2]


def test_eval_measures_as_the_family_publishes(run, exported, pictures):
    data = ("--data", pictures / "instances.json", "--json")
    default, upstream, deployed = (
        json.loads(run("eval", exported, *data, *more)[1])
        for more in ((), ("--protocol", "upstream"), ("--protocol", "deployed"))
    )
    assert default == upstream
    assert (default["protocol"], deployed["protocol"]) == ("upstream", "deployed")
    assert default["postprocess"]["confidence"] < deployed["postprocess"]["confidence"]
    assert qcore.evaluate(exported, pictures / "instances.json").figures["AP"] == default["AP"]
    assert qcore.evaluate(exported, pictures / "instances.json", protocol="deployed").figures["AP"] == deployed["AP"]


def test_a_table_of_many_columns_is_a_list_in_a_narrow_terminal(monkeypatch, capsys):
    from rich.console import Console

    from qcore.cli.console import Output

    columns, row = [f"COLUMN {number}" for number in range(8)], [f"value {number}" for number in range(8)]
    monkeypatch.setattr(Output, "console", lambda *_, **__: Console(width=60))
    Output().table("", columns, [row, row])
    assert capsys.readouterr().out.splitlines()[:3] == ["COLUMN 0  value 0", "COLUMN 1  value 1", "COLUMN 2  value 2"]
    monkeypatch.setattr(Output, "console", lambda *_, **__: Console(width=200))
    Output().table("", columns, [row])
    assert capsys.readouterr().out.splitlines()[0].split("  ")[:2] == ["COLUMN 0", "COLUMN 1"]
