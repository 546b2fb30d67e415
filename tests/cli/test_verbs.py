"""Scripts do by one call what the commands do."""

import json

import pytest

import qcore
from qcore.plugin import UsageError
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
