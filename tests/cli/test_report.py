"""`--report DIR`: what the page shows is in report.json, and nothing is spoilt on the way."""

import base64
import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import qcore
from qcore.plugin import PluginError, UsageError, hookimpl
from qcore_kit.kinds import ReporterSpec
from qcore_kit.reports import Bars, Picture, Pictures, Report, Section
from qcore_kit.reports import writing as reporting
from qcore_kit.reports.about import about
from qcore_kit.reports.command import Observers
from qcore_plugins.commands.quantize_page import Page, Written

ONNXRUNTIME = ("--quantizer", "onnxruntime", "--backend", "onnxruntime")


def document(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json"]
    return json.loads((folder / "report.json").read_text())


def titles(found):
    return [section["title"] for section in found["sections"]]


def blocks(found, section, kind):
    (one,) = [each for each in found["sections"] if each["title"] == section]
    return [each for each in one["blocks"] if each["block"] == kind]


def test_eval_measures_once_and_shows_curves_and_the_worst_pictures(run, int8, pictures, tmp_path):
    data = pictures / "instances.json"
    call = ("eval", int8, "--data", data, "--protocol", "upstream", "--json")
    code, plain, _ = run(*call)
    assert code == 0
    code, out, err = run(*call, "--report", tmp_path / "rep")
    assert (code, out) == (0, plain)
    assert f"report: {tmp_path / 'rep' / 'report.html'}" in err
    found = document(tmp_path / "rep")
    assert found["result"] == json.loads(plain)
    assert found["commands"][0] == f"qcore {' '.join(map(str, call))} --report {tmp_path / 'rep'}"
    assert "qcore quantize shapes.pt --quantizer onnxruntime" in found["commands"][1]
    assert titles(found) == ["Contract", "Recipe", "Run", "Accuracy", "Worst pictures"]
    shown = {row[0]: row[1] for row in blocks(found, "Accuracy", "table")[0]["rows"]}
    assert shown["AP"] == f"{found['result']['AP']:.4f}"
    (curves,) = blocks(found, "Accuracy", "curves")
    assert sum(curves["lines"]["IoU .75"][1]) / 101 <= sum(curves["lines"]["IoU .50"][1]) / 101
    assert sum(curves["lines"]["IoU .50"][1]) / 101 == pytest.approx(found["result"]["AP50"], abs=1e-6)
    (histogram,) = blocks(found, "Accuracy", "histogram")
    assert sum(histogram["counts"]["right"]) > 10
    (classes,) = [table for table in blocks(found, "Accuracy", "table") if table["folded"]]
    each = [float(row[2]) for row in classes["rows"]]
    assert sum(each) / len(each) == pytest.approx(found["result"]["AP"], abs=1e-4)
    page = (tmp_path / "rep" / "report.html").read_text()
    for heading, row in [row for one in blocks(found, "Worst pictures", "pictures") for row in one["rows"]]:
        assert heading in page
        assert len(row) == 2
        assert all(base64.b64decode(picture["data"]).startswith(b"\xff\xd8") for picture in row)
        assert all(picture["data"] in page for picture in row)


def test_the_worst_pictures_are_those_with_most_missed_and_wrong(run, exported, pictures, tmp_path):
    """Labels of one picture are moved away: there, all is missed and all is wrong."""
    told = json.loads((pictures / "instances.json").read_text())
    counts = {image["id"]: 0 for image in told["images"]}
    for annotation in told["annotations"]:
        counts[annotation["image_id"]] += 1
    victim = max(counts, key=counts.get)
    for place, annotation in enumerate(told["annotations"]):
        if annotation["image_id"] == victim:
            annotation["bbox"] = [place, 0, 3, 3]
    (tmp_path / "moved.json").write_text(json.dumps(told))
    call = ("eval", exported, "--data", tmp_path / "moved.json", "--images", pictures / "images")
    assert run(*call, "--report", tmp_path / "rep")[0] == 0
    (block,) = blocks(document(tmp_path / "rep"), "Worst pictures", "pictures")
    name = next(image["file_name"] for image in told["images"] if image["id"] == victim)
    assert block["rows"][0][0].startswith(f"{name}: {counts[victim]} missed")
    assert len(block["rows"]) <= 6


def test_benchmark_shows_times_with_their_spread(run, exported, int8, tmp_path):
    call = ("benchmark", exported, int8, "--rounds", "2", "--launches", "1", "--report", tmp_path / "rep")
    assert run(*call)[0] == 0
    found = document(tmp_path / "rep")
    _, said = found["result"]["files"]
    ratios = [block for block in blocks(found, "Latency", "ranges") if block["mark"] == 1.0]
    assert next(iter(ratios[0]["rows"].values()))[1] == said["speed"]["inference"]["ratio"]
    assert str(int8) in found["summary"]
    (recipe,) = [
        table for table in blocks(found, "Recipe", "table") if table["columns"] == ["", str(exported), str(int8)]
    ]
    assert ["quantizer", "none: not quantized", "onnxruntime"] in recipe["rows"]


def test_quantize_shows_parity_and_recipe(run, exported, pictures, tmp_path):
    call = (
        "quantize",
        exported,
        "--calib",
        pictures / "images",
        "--quantizer",
        "onnxruntime",
        "--backend",
        "onnxruntime",
    )
    code, out, _ = run(*call, "--explain", "-o", tmp_path / "out", "--report", tmp_path / "rep", "--json")
    assert code == 0
    found, printed = document(tmp_path / "rep"), json.loads(out)
    assert found["verdict"] == "pass"
    assert printed["parity"]["summary"] in found["summary"]
    assert {key: found["result"][key] for key in printed} == printed
    assert found["result"]["contracts"][printed["file"]]["provenance"]["quantization"]["quantizer"] == "onnxruntime"
    (table,) = blocks(found, "Quantization decisions by layer", "table")
    assert (len(table["rows"]), table["folded"]) == (len(printed["layers"]), True)


def test_a_failed_check_has_a_page_too(run, exported, pictures, tmp_path, monkeypatch):
    from qcore_plugins.tasks.detection.evaluator import DetectionEvaluator

    def disagree(pairs, **_):
        list(pairs)
        return {"agree": False, "summary": "all boxes lost"}

    monkeypatch.setattr(DetectionEvaluator, "agreement", staticmethod(disagree))
    call = (
        "quantize",
        exported,
        "--calib",
        pictures / "images",
        "--quantizer",
        "onnxruntime",
        "--backend",
        "onnxruntime",
    )
    code, _, err = run(*call, "-o", tmp_path / "out", "--report", tmp_path / "rep")
    assert code == 1
    assert "all boxes lost" in err
    found = document(tmp_path / "rep")
    assert found["verdict"] == "fail"
    assert "all boxes lost" in found["summary"]
    assert not (tmp_path / "out" / "shapes.onnx").exists()


@pytest.mark.parametrize("command", ["benchmark", "eval", "quantize"])
def test_a_missing_package_is_told_before_the_work(run, exported, pictures, tmp_path, monkeypatch, command):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else there(name))
    more = {
        "benchmark": (),
        "eval": ("--data", pictures / "instances.json"),
        "quantize": ("--calib", pictures / "images", "--quantizer", "onnxruntime", "-o", tmp_path / "out"),
    }[command]
    code, out, err = run(command, exported, *more, "--report", tmp_path / "rep")
    assert (code, out) == (3, "")
    assert "pip install 'qcore-quant[report]'" in err
    assert not (tmp_path / "rep").exists()
    assert not list(tmp_path.rglob("*.onnx"))


def test_a_folder_with_other_files_keeps_them(run, exported, pictures, tmp_path):
    call = ("eval", exported, "--data", pictures / "instances.json", "--report", tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    assert run(*call)[0] == 0
    assert run(*call)[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "report.html", "report.json"]
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["report.html", "report.json"])
def test_a_foreign_file_of_the_same_name_is_not_replaced(run, exported, pictures, tmp_path, name):
    (tmp_path / name).write_text('{"mine": true}')
    code, out, err = run("eval", exported, "--data", pictures / "instances.json", "--report", tmp_path)
    assert (code, out) == (6, "")
    assert f"{tmp_path / name}: already exists" in err
    assert (tmp_path / name).read_text() == '{"mine": true}'


def test_a_reporter_that_fails_leaves_nothing(tmp_path):
    class Broken:
        spec = ReporterSpec(name="broken", summary="Fails", factory=None, suffix=".txt")

        def write(self, report, path):
            path.write_text(report.title)
            raise RuntimeError("broken")

    class Plugin:
        @hookimpl
        def qcore_reporters(self):
            yield ReporterSpec(name="broken", summary="Fails", factory=Broken, suffix=".txt")

    plugins = qcore.Host(entry_points=False)
    plugins.register(Plugin())
    with pytest.raises(PluginError, match="reporter broken of plugin Plugin failed in write"):
        reporting.write(Report("t", "none", "s", [], {}), tmp_path, plugins)
    assert list(tmp_path.iterdir()) == []
    plugins.register(Plugin(), "second")
    with pytest.raises(UsageError, match="all write the same file"):
        reporting.ready(tmp_path, plugins)
    with pytest.raises(UsageError, match="no plugin draws reports"):
        reporting.ready(tmp_path, qcore.Host(entry_points=False))


def test_report_json_is_json_whatever_the_figures_are():
    import numpy as np

    blocks = [Bars(["a", "b"], [float("nan"), np.float32(1.5)]), Pictures([("row", [Picture(b"\xff", "c")])])]
    found = reporting.document(Report("t", "none", "s", [Section("S", blocks)], {"array": np.arange(2)}))
    text = json.dumps(found, allow_nan=False)
    told = json.loads(text)
    assert told["sections"][0]["blocks"][0]["values"] == [None, 1.5]
    assert told["sections"][0]["blocks"][1]["rows"][0][1][0]["data"] == "/w=="
    assert told["result"] == {"array": [0, 1]}


def test_contracts_of_several_files_stand_side_by_side_where_they_differ(exported, int8):
    contracts = {"float": qcore.load(exported).contract, "int8": qcore.load(int8).contract}
    contract, recipe = about(contracts)
    same, *documents = contract.blocks
    assert ("task", "detection") in same.rows
    assert [block.folded for block in documents] == [True, True]
    assert json.loads(documents[1].text) == contracts["int8"].to_dict()
    assert '"shape": [1, 3, 416, 416]' in documents[1].text
    assert recipe.blocks[1].columns == ("", "float", "int8")
    assert about({}) == []


def test_the_command_that_a_contract_tells_of_names_the_layers_left_float(int8):
    contract = qcore.load(int8).contract
    said = {**contract.provenance["quantization"], "left_float": ["model.1.conv", "model.2.conv"]}
    contract = replace(contract, provenance={**contract.provenance, "quantization": said})
    typed, told = Observers((), ("eval", "my model.onnx")).commands({"my model.onnx": contract})
    assert typed == "qcore eval 'my model.onnx'"
    assert "-q exclude=model.1.conv,model.2.conv" in told
    assert ("left float", "model.1.conv, model.2.conv") in about(contract)[1].blocks[0].rows


def test_an_accuracy_budget_is_shown_with_its_trials_and_layers(int8):
    budget = {"figure": "AP", "data": "val.json", "float": 0.5, "int8": 0.4, "reached": 0.49, "left_float": ["b"],
              "trials": {0: 0.4, 1: 0.49}}  # fmt: skip
    parity = {"backend": "onnxruntime", "inputs": 3, "lost": 0.0, "agree": True, "summary": "9 boxes"}
    report = {"file": str(int8), "parity": parity, "budget": budget}
    ranked = [{"layer": "b", "own_db": 9.0}, {"layer": "a", "own_db": 20.0}]
    one = Written("onnxruntime", report, qcore.load(int8).contract, [int8], ranked)
    made = Page(Path("w.pt")).made([one], report)
    assert made.verdict == "pass"
    assert "AP 0.4900 against 0.5000 in float, 1 layer left float" in made.summary
    sections = {section.title: section.blocks for section in made.sections}
    figures, curve, trials, left = sections["Accuracy budget"]
    assert ("as written", "0.4900", "-0.0100") in figures.rows
    assert curve.lines["quantized"] == ([0, 1], [0.4, 0.49])
    assert trials.rows == [(0, "0.4000", "-0.1000"), (1, "0.4900", "-0.0100")]
    assert left.text == "b"
    assert (sections["Sensitivity"][0].labels, sections["Sensitivity"][0].limit) == (["b", "a"], 20.0)
    unchecked = replace(one, report={key: value for key, value in report.items() if key != "parity"})
    assert Page(Path("w.pt")).made([unchecked], report).verdict == "note"


def test_a_page_of_an_empty_run_is_a_page(run, int8, pictures, tmp_path):
    """Nothing found at all: no curves, and no error."""
    shutil.copytree(pictures, tmp_path / "data")
    call = ("eval", int8, "--data", tmp_path / "data" / "instances.json", "--confidence", "0.9999")
    code, _, _ = run(*call, "--report", tmp_path / "rep")
    assert code == 0
    assert document(tmp_path / "rep")["result"]["AP"] == 0
