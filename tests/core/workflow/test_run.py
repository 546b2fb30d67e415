"""A run does everything once: loading, exporting, planning, reading."""

import json
import shutil
from collections import Counter

import pytest

import qcore
from qcore.cli import main
from qcore.plugin import FileError, NoRoute, UsageError


@pytest.fixture
def counted(monkeypatch):
    """How often files are loaded and exported, routes are looked for, and each picture is read."""
    from qcore.workflow import opening, planner
    from qcore_plugins.formats.onnx import convert
    from qcore_plugins.processing.letterbox.preprocessor import Letterbox

    times = Counter()

    def count(owner, name, what):
        real = getattr(owner, name)

        def call(*given, **named):
            times[what(*given, **named)] += 1
            return real(*given, **named)

        monkeypatch.setattr(owner, name, call)

    count(opening, "loaded", lambda *_: "load")
    count(convert, "export", lambda *_: "export")
    count(planner, "find", lambda start, **named: ("plan", start, named["backend"] or named["goal"]))
    count(Letterbox, "read", lambda _, item: ("read", str(item)))
    return times


def test_quantize_does_everything_once(counted, checkpoint, pictures, tmp_path):
    """A one-pass quantizer for two runtimes, with the parity check against the quantized and the float network."""
    arguments = ["--quantizer", "onnxruntime", "--backend", "onnxruntime", "--backend", "openvino"]
    command = ["quantize", checkpoint, "--calib", pictures / "images", "--imgsz", 96, *arguments, "-o", tmp_path]
    assert main(list(map(str, command))) == 0
    assert (counted["load"], counted["export"]) == (1, 1)
    assert {times for what, times in counted.items() if what[0] in ("plan", "read")} == {1}
    assert sum(what[0] == "read" for what in counted) == len(list((pictures / "images").iterdir()))


def test_an_accuracy_budget_loads_exports_and_calibrates_once(counted, checkpoint, pictures, tmp_path):
    """However many numbers of float layers it measures."""
    shutil.copytree(pictures / "images", tmp_path / "calib")
    arguments = ["--quantizer", "onnxruntime", "--backend", "onnxruntime", "--imgsz", 96, "--max-drop", 0.003]
    data = ["--calib", tmp_path / "calib", "--data", pictures / "instances.json"]
    command = ["quantize", checkpoint, *data, *arguments, "-o", tmp_path / "out", "--json"]
    assert main(list(map(str, command))) == 0
    assert (counted["load"], counted["export"]) == (1, 1)
    calibrated = [times for what, times in counted.items() if what[0] == "read" and str(tmp_path / "calib") in what[1]]
    assert calibrated == [1] * len(list((tmp_path / "calib").iterdir()))
    (record,) = (tmp_path / "out").glob("*.budget.json")
    assert len(json.loads(record.read_text())["trials"]) >= 1


def test_variants_share_what_they_have_in_common(counted, checkpoint, pictures):
    base = qcore.recipe(checkpoint, imgsz=96)
    with base.start() as run:
        for quantizer, backend in (("onnxruntime", "onnxruntime"), ("onnxruntime", "openvino"), ("nncf", "openvino")):
            int8 = base.with_quantizer(quantizer, calibration=pictures / "images", limit=4).with_backend(backend)
            assert run.vary(int8).model().form.encoding in ("qdq", "native")
    assert (counted["load"], counted["export"]) == (1, 1)
    assert {times for what, times in counted.items() if what[0] == "read"} == {1}


def test_other_options_are_another_model(checkpoint):
    run = qcore.recipe(checkpoint, imgsz=96).start()
    small, large = (run.vary(qcore.recipe(checkpoint, imgsz=size)).contract() for size in (96, 128))
    assert [contract.inputs[0].shape[2:] for contract in (small, large)] == [(96, 96), (128, 128)]


def test_a_model_that_was_given_is_not_that_of_another_file(checkpoint, exported):
    run = qcore.recipe(checkpoint, imgsz=96).start()
    given = run.begun_at(run.model("onnx"))
    assert given.vary(run.recipe.with_backend("openvino")).plan().start.format == "onnx"
    assert given.vary(qcore.recipe(exported)).contract().inputs[0].shape == (1, 3, 416, 416)


def test_leaving_a_run_frees_what_it_remembers(counted, checkpoint):
    recipe = qcore.recipe(checkpoint, imgsz=96)
    with recipe.start() as run:
        other = run.vary(recipe)
        run.contract()
        other.contract()
        assert counted["load"] == 1
    other.contract()
    assert counted["load"] == 2


def test_a_recipe_opens_nothing():
    recipe = qcore.recipe("none.pt", imgsz=96).with_quantizer("nncf", calibration="none").with_backend("openvino")
    run = recipe.start()
    with pytest.raises(FileError, match="no such file"):
        run.model()


def test_what_is_unknown_is_told_at_the_start():
    with pytest.raises(UsageError, match="did you mean nncf"):
        qcore.recipe("none.pt").with_quantizer("nnfc", calibration="none").start()
    with pytest.raises(UsageError, match="quantizes nothing"):
        qcore.recipe("none.pt").exclude_layers("model.1.*")


def test_the_quantizer_is_asked_for_only_where_there_is_one(exported):
    run = qcore.recipe(exported).start()
    with pytest.raises(UsageError, match="quantizes nothing"):
        run.model("quantizer")
    with pytest.raises(NoRoute):
        run.model("nowhere")


def test_unreadable_calibration_inputs_are_left_out_everywhere(pictures, exported, tmp_path):
    folder = tmp_path / "calib"
    folder.mkdir()
    for picture in sorted((pictures / "images").iterdir())[:4]:
        (folder / picture.name).write_bytes(picture.read_bytes())
    (folder / "0000a.png").write_bytes(b"no picture")
    command = ["quantize", exported, "--calib", folder, "--quantizer", "onnxruntime", "--backend", "onnxruntime"]
    assert main([*map(str, command), "-o", str(tmp_path / "out")]) == 0
    said = qcore.load(tmp_path / "out" / "shapes.onnx").contract.provenance["calibration"]
    assert said["pictures"] == 4
