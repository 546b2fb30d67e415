"""Scripts do by one call what the commands do."""

import json

import onnx
import pytest

import qcore
from qcore.plugin import FileError, UsageError
from qcore_plugins import verbs


def test_each_verb_says_what_its_command_says(run, exported, pictures, tmp_path):
    assert verbs.snippet(exported).strip() == run("snippet", exported)[1].strip()
    checked = verbs.check(exported, "tensorrt")
    document = json.loads(run("check", exported, "--target", "tensorrt", "--json")[1])
    assert [finding.rule for finding in checked.findings] == [finding["rule"] for finding in document["findings"]]
    compared = verbs.compare(exported, exported, pictures / "images", limit=2)
    document = json.loads(run("compare", exported, exported, "--data", pictures / "images", "--limit", 2, "--json")[1])
    assert [rung.summary for rung in compared.rungs] == [step["summary"] for step in document["steps"]]
    evaluated = qcore.evaluate(exported, pictures / "instances.json")
    document = json.loads(run("eval", exported, "--data", pictures / "instances.json", "--json")[1])
    assert {name: document[name] for name in ("AP", "AP50")} == {
        name: evaluated.figures[name] for name in ("AP", "AP50")
    }
    assert evaluated.name == "AP"
    assert qcore.load(verbs.export(exported, tmp_path, to="openvino")).form.format == "openvino"


def test_an_evaluation_in_parts_is_that_of_the_whole(exported, pictures, tmp_path):
    model, data = qcore.recipe(exported).with_protocol("upstream"), pictures / "instances.json"
    files = [tmp_path / "1.part", tmp_path / "2.part"]
    taken = [verbs.evaluate_part(model, data, place, 2, file) for place, file in enumerate(files, 1)]
    merged = verbs.merge_parts(model, data, files)
    assert sum(taken) == merged.figures["images"]
    assert merged == qcore.evaluate(exported, data, protocol="upstream")
    with pytest.raises(UsageError, match="place 3: there are parts 1 to 2"):
        verbs.evaluate_part(model, data, 3, 2, files[0])


def test_a_comparison_in_parts_is_that_of_the_whole(exported, int8, pictures, tmp_path):
    files = [tmp_path / "1.part", tmp_path / "2.part"]
    data = pictures / "instances.json"
    taken = [verbs.compare_part(exported, int8, data, place, 2, file) for place, file in enumerate(files, 1)]
    whole, merged = verbs.compare(exported, int8, data), verbs.compare(exported, int8, data, parts=files[::-1])
    assert sum(taken) == whole.inputs == merged.inputs
    assert [rung.document() for rung in merged.rungs] == [rung.document() for rung in whole.rungs]
    with pytest.raises(FileError, match="part 2 of 2 is missing"):
        verbs.compare(exported, int8, data, parts=files[:1])
    with pytest.raises(FileError, match="made under other conditions"):
        verbs.compare(int8, exported, data, parts=files)
    spoilt = json.loads(files[0].read_text())
    for state in ([[99, [[], [], []], [[], [], []]]], [[0, [[], [], []], "x"]], [[0]], 1):
        files[0].write_text(json.dumps({**spoilt, "state": state}))
        with pytest.raises(FileError, match=r"not the results of two models|none of this part's"):
            verbs.compare(exported, int8, data, parts=files)


def test_inputs_whose_results_are_known_are_not_run(exported, tmp_path, monkeypatch):
    """But for the first, whose tensors are looked at."""
    from qcore.workflow.predictor import Predictor
    from qcore_plugins.tools.compare.ladder import LOOKED
    from qcore_plugins.tools.demo import shapes

    shapes.write(tmp_path, 20, seed=5)
    data, files = tmp_path / "instances.json", [tmp_path / "1.part"]
    verbs.compare_part(exported, exported, data, 1, 1, files[0])
    prepare, prepared = Predictor.prepare, []
    monkeypatch.setattr(
        Predictor, "prepare", lambda self, raws, size=1: prepared.extend(raws) or prepare(self, raws, size)
    )
    assert verbs.compare(exported, exported, data, parts=files).failed is None
    assert 0 < len(prepared) <= 4 * LOOKED


@pytest.mark.parametrize("quantizer", ["onnxruntime", "pytorch-quantization"])
def test_a_calibration_in_parts_gives_the_bytes_of_the_whole(run, checkpoint, pictures, tmp_path, quantizer):
    call = (
        "quantize",
        checkpoint,
        "--calib",
        pictures / "images",
        "--quantizer",
        quantizer,
        "--backend",
        "onnxruntime",
    )
    assert run(*call, "--backend", "onnxruntime", "-o", tmp_path / "whole")[0] == 0
    for place in (1, 2, 3):
        code, out, _ = run(*call, "--part", f"{place}/3", "-o", tmp_path / "parts", "--json")
        assert (code, json.loads(out)["of"]) == (0, 3)
    files = sorted((tmp_path / "parts").iterdir())
    code, _, err = run(*call, "--backend", "onnxruntime", "--merge", *files[::-1], "-o", tmp_path / "merged")
    assert code == 0, err
    names = {path.name for path in (tmp_path / "whole").iterdir()}
    assert {path.name for path in (tmp_path / "merged").iterdir()} == names
    for name in names:
        assert (tmp_path / "merged" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_parts_of_a_calibration_that_make_no_whole_are_refused(run, checkpoint, pictures, tmp_path):
    recipe = qcore.recipe(checkpoint).with_quantizer("onnxruntime", calibration=pictures / "images")
    files = [verbs.calibrate_part(recipe, place, 2, tmp_path) for place in (1, 2)]
    call = (
        "quantize",
        checkpoint,
        "--calib",
        pictures / "images",
        "--quantizer",
        "onnxruntime",
        "-o",
        tmp_path / "out",
    )
    for arguments, said in (
        (("--merge", files[0]), "part 2 of 2 is missing"),
        (("--merge", *files, "--calib-limit", "3"), "made under other conditions (inputs)"),
        (("--merge", *files, "-q", "method=minmax"), "made under other conditions (options)"),
        (("--merge", *files, "--imgsz", "96"), "made under other conditions (contract)"),
        (("--part", "3/2"), "--part 3/2: expected K/N"),
    ):
        code, _, err = run(*call, *arguments)
        assert code in (2, 6)
        assert said in err
    code, _, err = run(*(word if word != "onnxruntime" else "nncf" for word in call), "--part", "1/2")
    assert (code, "quantizer nncf cannot calibrate in parts" in err) == (2, True)
    part = json.loads(files[0].read_text())
    name, seen = next(iter(part["state"].items()))
    for wrong in ({**seen, "counts": "AAAA"}, {**seen, "width": 0.3}, {**seen, "lows": []}, {}, 1):
        files[0].write_text(json.dumps({**part, "state": {**part["state"], name: wrong}}))
        code, _, err = run(*call, "--merge", *files)
        assert (code, "not what calibration sees" in err) == (6, True)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_each_of_two_compared_files_can_have_its_own_loader(checkpoint, exported, pictures, tmp_path):
    bare = onnx.load(exported)
    del bare.metadata_props[:]
    onnx.save(bare, tmp_path / "bare.onnx")
    with pytest.warns(qcore.AssumptionWarning, match="bare.onnx: assumed"):
        found = verbs.compare(checkpoint, qcore.recipe(tmp_path / "bare.onnx", "onnx"), pictures / "images", limit=1)
    assert found.failed is None


def test_a_checkpoint_is_compared_at_the_size_of_the_export(checkpoint, pictures, tmp_path):
    small = verbs.export(qcore.recipe(checkpoint, imgsz=96), tmp_path, to="onnx")
    found = verbs.compare(checkpoint, small, pictures / "images", limit=2)
    assert found.failed is None


def test_errors_name_parameters(checkpoint, tmp_path):
    with pytest.raises(UsageError, match="quantizes nothing"):
        verbs.quantize(qcore.recipe(checkpoint), tmp_path)
    with pytest.raises(UsageError, match="max_drop needs labelled data"):
        verbs.quantize(qcore.recipe(checkpoint).with_quantizer("nncf", calibration="none"), tmp_path, max_drop=0.1)
    assert not list(tmp_path.iterdir())
