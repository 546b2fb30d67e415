"""`qcore compare` as its users meet it."""

import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper


@pytest.fixture(scope="module")
def labelled(pictures):
    return pictures / "instances.json"


def test_an_int8_file_against_its_checkpoint(run, checkpoint, int8, labelled):
    code, out, err = run("compare", checkpoint, int8, "--data", labelled, "--max-drop", 0.05)
    assert code == 0, out + err
    for step in ("contract", "preprocessing", "raw tensors", "inside the graph", "detections", "accuracy"):
        assert step in out
    assert "FAIL" not in out
    assert "6 of 6 steps asked, none fails" in out
    assert "run at" in err


def test_the_document_has_every_step_with_figures_and_thresholds(run, exported, int8, labelled):
    code, out, err = run("compare", exported, int8, "--data", labelled, "--max-drop", 0.05, "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["passed"] is True
    assert document["inputs"] == 12
    assert document["reference"]["executed_precision"] == "f32"
    assert document["candidate"]["executed_precision"] == "int8"
    assert document["steps"][0]["step"] == "contract"
    assert all(step["threshold"] and step["summary"] for step in document["steps"])
    tensors, inside, detections, accuracy = (step["figures"] for step in document["steps"][2:])
    assert {"cosine", "mean_difference", "largest_difference", "where"} <= set(tensors["boxes"])
    assert len(inside["worst"]) <= 10
    assert all(inside["ratio_db"][layer] >= 3 for layer in inside["ratio_db"])
    assert detections["boxes"] > 10
    assert set(detections["lost"]) == {"0.5", "0.75", "0.9"}
    assert accuracy["AP"]["low"] <= accuracy["AP"]["change"] <= accuracy["AP"]["high"]


@pytest.mark.parametrize("protocol", ["", "deployed"])
def test_eval_and_compare_give_one_ap_and_say_what_they_ran_with(run, exported, worse, labelled, protocol):
    flags = ("--protocol", protocol) if protocol else ()
    _, out, err = run("compare", exported, worse, "--data", labelled, *flags)
    said = dict(line.split(maxsplit=1) for line in run("eval", worse, "--data", labelled, *flags)[1].splitlines())
    assert f"-> {said['AP']}: " in out, err
    assert said["protocol"] == (protocol or "upstream")
    assert "confidence=" in said["postprocess"]
    assert f"PROTOCOL  {said['protocol']}  ({said['postprocess']})" in out


def test_a_file_equals_itself(run, exported, pictures):
    code, out, _ = run("compare", exported, exported, "--data", pictures / "images", "--limit", 4, "--json")
    steps = {step["step"]: step for step in json.loads(out)["steps"]}
    assert code == 0
    assert steps["raw tensors"]["figures"]["boxes"]["largest_difference"] == 0
    assert min(steps["inside the graph"]["figures"]["ratio_db"].values()) == 200
    assert steps["detections"]["figures"]["bias"] == 0
    assert steps["accuracy"]["verdict"] == "none"
    assert "labels" in steps["accuracy"]["summary"]


def test_a_file_whose_scales_are_computed_at_run_time_has_the_bounds_of_int8(run, exported, pictures, tmp_path):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(exported, tmp_path / "dynamic.onnx", weight_type=QuantType.QUInt8)
    code, out, _ = run("compare", exported, tmp_path / "dynamic.onnx", "--data", pictures / "images", "--limit", 4)
    assert code == 0, out
    assert "note  inside the graph" in out
    assert "scales are computed at run time" in out
    assert "for a quantized model" in out


@pytest.fixture
def suppressing(run, checkpoint, tmp_path):
    assert run("export", checkpoint, "--to", "onnx", "--head", "nms", "-o", tmp_path / "nms")[0] == 0
    return tmp_path / "nms" / "shapes.onnx"


@pytest.fixture
def bare(exported, tmp_path):
    """A file of another tool: without a contract."""
    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    return tmp_path / "bare.onnx"


@pytest.mark.parametrize("flag", ["--loader", "--candidate-loader"])
def test_a_checkpoint_and_a_file_that_needs_a_loader(run, checkpoint, bare, labelled, flag):
    code, out, err = run("compare", checkpoint, bare, flag, "onnx", "--data", labelled, "--json")
    document = json.loads(out)
    assert code == 0, err
    assert document["reference"]["form"].startswith("torch")
    assert document["reference"]["input"] == document["candidate"]["input"]
    assert document["steps"][0]["causes"][0]["name"] == "no class names"
    accuracy = document["steps"][-1]["figures"]["AP"]
    assert accuracy["candidate"] == accuracy["reference"] > 0.3


def test_preprocessing_that_one_of_two_was_made_with_is_named_with_its_flag(run, checkpoint, bare, pictures):
    data = ("--data", pictures / "images", "--limit", 2, "--candidate-loader", "onnx", "--json")
    own = ("--preprocess", "picture_aspect=1.5", "--candidate-preprocess", "picture_aspect=null")
    (cause,) = json.loads(run("compare", checkpoint, bare, *own, *data)[1])["steps"][0]["causes"]
    assert cause["text"] == "picture_aspect is null in CANDIDATE, 1.5 in REF"
    contract, pixels, *_ = json.loads(run("compare", checkpoint, bare, *own[2:3], own[1], *data)[1])["steps"]
    assert contract["summary"] == "different: preprocessing picture_aspect"
    for step in (contract, pixels):
        (cause,) = step["causes"]
        assert cause["text"] == "picture_aspect is 1.5 in CANDIDATE, null in REF"
        assert "add --preprocess picture_aspect=1.5, which REF was loaded without" in cause["hint"]


def test_a_failure_is_named_and_makes_the_exit_code_1(run, exported, suppressing, pictures):
    arguments = ["compare", exported, suppressing, "--data", pictures / "images", "--limit", 4]
    code, out, _ = run(*arguments)
    assert code == 1
    assert 'step "contract" fails first: NMS in one only' in out
    assert "hint: export both with the same --head" in out
    code, out, _ = run(*arguments, "--json")
    assert code == 1
    assert (json.loads(out)["failed"], json.loads(out)["cause"]) == ("contract", "NMS in one only")
    code, out, _ = run(*arguments, "--accept", "contract")
    assert code == 0
    assert "(accepted)" in out


def test_another_input_size_is_named_and_what_can_be_compared_is(run, exported, checkpoint, pictures, tmp_path):
    assert run("export", checkpoint, "--to", "onnx", "--imgsz", 320, "-o", tmp_path)[0] == 0
    code, out, _ = run(
        "compare", exported, tmp_path / "shapes.onnx", "--data", pictures / "images", "--limit", 3, "--json"
    )
    document = json.loads(out)
    verdicts = {step["step"]: step["verdict"] for step in document["steps"]}
    assert (code, document["failed"], document["cause"]) == (1, "contract", "another input shape")
    assert (verdicts["raw tensors"], verdicts["inside the graph"]) == ("none", "none")
    assert document["steps"][4]["figures"]["boxes"] > 0


def test_lists_of_detections_are_not_compared_value_for_value_after_rounding(
    run, checkpoint, suppressing, pictures, tmp_path
):
    arguments = ["--backend", "onnxruntime", "--calib", pictures / "images", "--head", "nms", "-o", tmp_path / "int8"]
    assert run("quantize", checkpoint, "--quantizer", "onnxruntime", *arguments)[0] == 0
    code, out, _ = run(
        "compare", suppressing, tmp_path / "int8" / "shapes.onnx", "--data", pictures / "images", "--json"
    )
    steps = {step["step"]: step for step in json.loads(out)["steps"]}
    assert code == 0
    assert steps["raw tensors"]["verdict"] == "none"
    assert steps["detections"]["verdict"] == "pass"


@pytest.fixture
def worse(exported, tmp_path):
    """The float model with its boxes too wide by a fifth: the same loss on every CPU."""
    model = onnx.load(exported)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for name in [name for name in stored if name.startswith("model.24.m.") and name.endswith(".bias")]:
        bias = numpy_helper.to_array(stored[name]).copy()
        bias.reshape(3, -1)[:, 2] += 0.35  # (2 sigmoid)^2 anchors of YOLOv5's widths
        stored[name].CopyFrom(numpy_helper.from_array(bias, name))
    onnx.save(model, tmp_path / "worse.onnx")
    return tmp_path / "worse.onnx"


def test_a_loss_that_is_allowed_or_not(run, exported, worse, labelled):
    arguments = ["compare", exported, worse, "--data", labelled, "--json"]
    arguments += [word for step in ("raw tensors", "inside the graph", "detections") for word in ("--accept", step)]
    code, out, _ = run(*arguments, "--max-drop", 0)
    last = json.loads(out)["steps"][-1]
    change = last["figures"]["AP"]["change"]
    assert change < last["figures"]["AP"]["high"] < 0
    assert (code, last["verdict"], last["causes"][0]["name"]) == (1, "fail", "AP lost")
    assert run(*arguments, "--max-drop", -change + 1e-6)[0] == 0


def test_own_code_is_compared_with_the_contract(run, exported, pictures, tmp_path):
    code_file = tmp_path / "mine.py"
    code_file.write_text(
        "import cv2, numpy\n"
        "def prepare(path):\n"
        "    picture = cv2.resize(cv2.imread(path), (416, 416))\n"
        "    return picture.transpose(2, 0, 1)[None].astype('float32') / 255\n"
        "def broken(path):\n"
        "    raise ValueError('no such thing')\n"
    )
    data = ["--data", pictures / "images", "--limit", 4]
    code, out, _ = run("compare", exported, "--preprocess-from", f"{code_file}:prepare", *data)
    assert code == 1
    assert "BGR swapped: OWN CODE: the channels are BGR, the contract says RGB" in out
    code, _, err = run("compare", exported, "--preprocess-from", f"{code_file}:broken", *data)
    assert code == 5
    assert "ValueError" in err
    assert "no such thing" in err
    code, _, err = run("compare", exported, "--preprocess-from", f"{code_file}:absent", *data)
    assert code == 2
    assert "has no function 'absent'" in err


def test_a_stored_tensor_is_that_of_the_first_picture(run, exported, pictures, tmp_path):
    import qcore

    made = qcore.recipe(exported).start().preprocessor()
    first = made.expand(pictures / "images")[0]
    tensor, _ = made.fitted(made.read(first))
    np.save(tmp_path / "right.npy", tensor)
    np.save(tmp_path / "wrong.npy", tensor * 255)
    (tmp_path / "none.npy").write_bytes(b"nothing")
    arguments = ["compare", exported, "--data", pictures / "images", "--preprocess-from"]
    assert run(*arguments, tmp_path / "right.npy")[0] == 0
    code, out, _ = run(*arguments, tmp_path / "wrong.npy")
    assert code == 1
    assert "values are 0..255" in out
    code, _, err = run(*arguments, tmp_path / "none.npy")
    assert code == 6
    assert "none.npy: no stored array" in err


def test_a_broken_picture_is_named_and_left_out(run, exported, pictures, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for picture in sorted((pictures / "images").iterdir())[:3]:
        shutil.copy(picture, folder)
    (folder / "a-broken.png").write_bytes(b"not a picture")
    code, out, err = run("compare", exported, exported, "--data", folder, "--json")
    assert code == 0
    assert json.loads(out)["inputs"] == 3
    assert json.loads(out)["skipped"] == [str(folder / "a-broken.png")]
    assert "skipped" in err
    code, out, err = run("compare", exported, exported, "--data", folder, "--quiet")
    assert (code, err) == (0, "")
    assert "(3 inputs, 1 skipped)" in out
    only = tmp_path / "only"
    only.mkdir()
    (only / "broken.png").write_bytes(b"not a picture")
    code, _, err = run("compare", exported, exported, "--data", only)
    assert code == 6
    assert "none of the 1 inputs can be read" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "CANDIDATE is missing"),
        (["{file}", "--accept", "everything"], "no step is called 'everything'"),
        (["{file}", "--limit", "0"], "--limit 0 is not a positive number"),
        (["{file}", "--backend", "a", "--backend", "b", "--backend", "c"], "3 backends for two files"),
        (["{file}", "--preprocess-from", "mine"], "neither a .npy file nor FILE.py:FUNCTION"),
    ],
)
def test_calls_that_make_no_sense(run, exported, pictures, arguments, message):
    given = [argument.format(file=exported) for argument in arguments]
    code, _, err = run("compare", exported, *given, "--data", pictures / "images")
    assert code == 2
    assert message in err
    assert "hint:" in err or "--limit" in message


def test_the_report_shows_the_ladder_and_the_pictures(run, exported, int8, labelled, tmp_path):
    code, _, err = run(
        "compare", exported, int8, "--data", labelled, "--max-drop", 0.05, "--report", tmp_path / "report"
    )
    assert code == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert str(tmp_path / "report" / "report.html") in err
    for words in ("Ladder", "signal-to-noise", "The ten layers with most noise", "bootstrap", "data:image/jpeg"):
        assert words in page
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    assert document["verdict"] == "note"
