"""`qcore quantize`, `qcore sensitivity` and what can be done with a scale table."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import qcore
from qcore.plugin import Form, QuantizerSpec, hookimpl


@pytest.fixture
def images(pictures):
    return pictures / "images"


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def test_one_calibration_serves_every_installed_runtime(run, exported, images, tmp_path):
    code, out, _ = run(
        "quantize", exported, "--calib", images, "--quantizer", "onnxruntime", "-o", tmp_path / "out", "--json"
    )
    assert code == 0
    assert files(tmp_path / "out") == [
        "onnxruntime/shapes.onnx", "openvino/shapes.bin", "openvino/shapes.xml", "shapes.qtable",
        "tensorrt/shapes.engine", "tensorrt/shapes.engine.qcore.json",
    ]  # fmt: skip
    reports = {Path(report["file"]).parent.name: report for report in json.loads(out)["files"]}
    for name, report in reports.items():
        assert report["parity"]["backend"] in (name, "onnxruntime")
        assert report["parity"]["agree"]
        assert report["parity"]["boxes"] > 10
        assert report["parity"]["float"]["agree"]
        assert report["parity"]["proved"] is (report["parity"]["backend"] == name)
        if name != "tensorrt":
            assert report["parity"]["executed"]["integer"] >= 0.9 * report["parity"]["quantized"] > 40
    hashes = {
        qcore.load(report["file"]).contract.provenance["quantization"]["table_sha256"] for report in reports.values()
    }
    assert len(hashes) == 1


def test_a_kept_table_makes_another_runtimes_file(run, exported, images, tmp_path):
    run("quantize", exported, "--calib", images, "--quantizer", "onnxruntime", "--backend", "onnxruntime",
        "-o", tmp_path / "out")  # fmt: skip
    table = tmp_path / "out" / "shapes.qtable"
    code, out, _ = run("inspect", table, "--json")
    assert code == 0
    assert json.loads(out)["form"].startswith("table")
    code, _, err = run("export", table, "--to", "onnx", "-o", tmp_path / "again")
    assert code == 2
    assert "--profile" in err
    code, _, err = run("predict", table, images / "0000.png")
    assert code == 2
    assert "choose one with --backend: onnxruntime, openvino" in err
    for profile in ("onnxruntime", "openvino", "tensorrt"):
        folder = tmp_path / profile
        assert run("export", table, "--to", "onnx", "--target", profile, "-o", folder)[0] == 0
        model = qcore.load(folder / "shapes.onnx")
        assert model.form.profile == profile
        assert len(qcore.predictor(folder / "shapes.onnx")(images / "0000.png")) > 0
    first, again = (folder / "shapes.onnx" for folder in (tmp_path / "out", tmp_path / "onnxruntime"))
    assert list(qcore.load(first).module.graph.node) == list(qcore.load(again).module.graph.node)


def test_the_tensorrt_profile_needs_no_tensorrt_to_be_written(run, exported, images, tmp_path):
    code, out, _ = run("quantize", exported, "--calib", images, "--quantizer", "onnxruntime", "--target", "tensorrt",
                       "-o", tmp_path, "--json")  # fmt: skip
    assert code == 0
    form = qcore.load(tmp_path / "shapes.onnx").form
    assert (form.activation, form.symmetric, form.precision, form.profile) == ("s8", True, "f16", "tensorrt")
    parity = json.loads(out)["parity"]
    assert parity["agree"]
    assert parity["proved"] or parity["unproved"].startswith("the file is for tensorrt, but ran on onnxruntime: ")
    code, _, err = run("quantize", exported, "--calib", images, "--quantizer", "onnxruntime", "--target", "tpu",
                       "-o", tmp_path)  # fmt: skip
    assert code == 2
    assert "available: onnxruntime, openvino, tensorrt" in err


@pytest.mark.parametrize(("quantizer", "backend"), [("onnxruntime", "onnxruntime"), ("nncf", "openvino")])
def test_excluded_layers_stay_float_and_the_explanation_says_so(run, exported, images, tmp_path, quantizer, backend):
    code, out, _ = run(
        "quantize", exported, "--calib", images, "--quantizer", quantizer, "--backend", backend,
        "--exclude", "model.0.*", "--no-last-layer", "--explain", "-o", tmp_path, "--json",
    )  # fmt: skip
    assert code == 0
    rows = {row["layer"]: row for row in json.loads(out)["layers"]}
    assert rows["model.0.conv"]["rule"] == "kept in float on request"
    assert rows["model.0.conv"]["quantized"] == "no"
    assert rows["model.1.conv"]["quantized"] == "yes"
    last = [row for name, row in rows.items() if name.startswith("model.24.m")]
    assert [row["quantized"] for row in last] == ["no"] * 3
    said = qcore.load(next(tmp_path.glob("shapes.[xo]*"))).contract.provenance["quantization"]
    assert said["left_float"][0] == "model.0.conv"


def test_the_explanation_as_a_table(run, exported, images, tmp_path):
    _, out, _ = run("quantize", exported, "--calib", images, "--quantizer", "onnxruntime", "--backend", "openvino",
                    "--explain", "-o", tmp_path)  # fmt: skip
    assert out.splitlines()[0].split()[:3] == ["LAYER", "OPERATION", "QUANTIZED"]
    assert "SiLU kept whole" in out
    assert "branches share a scale" in out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "--quantizer is required"),
        (("--quantizer", "onnxruntime", "--max-drop", "0.01"), "--max-drop needs --data"),
        (("--quantizer", "onnxruntime", "--exclude", "nothing.*"), "--exclude nothing.*: matches no quantizable layer"),
        (("--quantizer", "nncf", "--exclude", "nothing.*"), "--exclude nothing.*: matches no quantizable layer"),
        (("--quantizer", "onnxruntime", "--qat"), "unknown option qat"),
        (("--quantizer", "onnxruntime", "--calib-limit", "0"), "--calib-limit 0"),
    ],
)
def test_calls_that_cannot_be_carried_out(run, exported, images, tmp_path, flags, said):
    code, _, err = run("quantize", exported, "--calib", images, "-o", tmp_path, *flags)
    assert code == 2
    assert said in err
    assert err.startswith("qcore: error: ")
    assert files(tmp_path) == []


def test_a_device_that_is_not_there_is_named(run, checkpoint, images, tmp_path):
    code, _, err = run("quantize", checkpoint, "--calib", images, "--quantizer", "pytorch-quantization",
                       "--device", "cuda:7", "-o", tmp_path)  # fmt: skip
    assert code == 2
    assert "device cuda:7" in err


def test_a_short_training_through_the_command_line(run, checkpoint, images, tmp_path):
    """20 steps: every runtime's file, the table, and the training's state."""
    code, out, err = run(
        "quantize", checkpoint, "--calib", images, "--quantizer", "pytorch-quantization", "--qat", "-q", "steps=20",
        "-q", "batch=2", "--imgsz", "256",
        "-o", tmp_path, "--json",
    )  # fmt: skip
    assert code == 0, err
    assert files(tmp_path) == [
        "onnxruntime/shapes.onnx", "openvino/shapes.bin", "openvino/shapes.xml", "shapes.qtable", "shapes.training",
        "tensorrt/shapes.engine", "tensorrt/shapes.engine.qcore.json",
    ]  # fmt: skip
    assert "step 20 of 20: loss" in err
    for report in json.loads(out)["files"]:
        assert report["parity"]["agree"]
        said = qcore.load(report["file"]).contract
        assert said.provenance["quantization"]["qat"]["loss"] < said.provenance["quantization"]["qat"]["loss_before"]
        assert said.inputs[0].shape == (1, 3, 256, 256)


def test_a_budget_leaves_the_worst_layers_float_and_goes_on_where_it_was(run, exported, pictures, tmp_path):
    call = (
        "quantize", exported, "--calib", pictures / "images", "--quantizer", "onnxruntime", "--backend", "onnxruntime",
        "--data", pictures / "instances.json", "-o", tmp_path, "--json",
    )  # fmt: skip
    code, out, first = run(*call, "--max-drop", "0.003")
    assert code == 0, first
    report = json.loads(out)["budget"]
    assert report["float"] - report["reached"] <= 0.003
    kept = json.loads((tmp_path / "shapes.onnxruntime.budget.json").read_text())
    assert kept["result"]["left_float"] == report["left_float"]
    assert kept["result"]["data"] == str(pictures / "instances.json")
    if report["left_float"]:
        said = qcore.load(tmp_path / "shapes.onnx").contract.provenance["quantization"]
        assert set(report["left_float"]) <= set(said["left_float"])
    code, out, _ = run(*call, "--max-drop", "0.003")
    assert json.loads(out)["budget"]["reached"] == report["reached"]


def test_sensitivity_ranks_every_layer_into_a_file(run, exported, pictures, tmp_path):
    code, out, _ = run("sensitivity", exported, "--calib", pictures / "images", "-o", tmp_path)
    assert code == 0
    rows = json.loads((tmp_path / "shapes.sensitivity.json").read_text())["layers"]
    assert len(rows) == 60
    ratios = [row["own_db"] for row in rows]
    assert ratios == sorted(ratios)
    assert 5 < ratios[0] < ratios[-1] < 80
    assert all(row["reached_db"] <= row["own_db"] + 1 for row in rows)
    assert rows[0]["layer"] in out.splitlines()[1]


def test_sensitivity_finds_a_planted_bad_layer(exported, pictures, tmp_path, run):
    """A channel far larger than the others that the next layer does not use: it coarsens their scale for nothing."""
    model = onnx.load(exported)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}

    def change(name, how):
        value = numpy_helper.to_array(stored[name]).copy()
        how(value)
        stored[name].CopyFrom(numpy_helper.from_array(value, name))

    change("model.4.cv3.conv.bias", lambda value: np.put(value, 0, 400))
    change("model.5.conv.weight", lambda value: value[:, 0].fill(0))
    onnx.save(model, tmp_path / "shapes.onnx")
    run("sensitivity", tmp_path / "shapes.onnx", "--calib", pictures / "images", "-o", tmp_path)
    rows = json.loads((tmp_path / "shapes.sensitivity.json").read_text())["layers"]
    assert rows[0]["layer"] == "model.5.conv"


def test_sensitivity_confirms_by_the_main_figure(run, exported, pictures, tmp_path):
    code, out, _ = run(
        "sensitivity", exported, "--calib", pictures / "images", "-o", tmp_path, "--json", "--confirm", "1",
        "--quantizer", "onnxruntime", "--backend", "onnxruntime", "--data", pictures / "instances.json",
    )  # fmt: skip
    assert code == 0
    said = json.loads(out)
    assert isinstance(said["layers"][0]["gain"], float)
    assert said["layers"][1]["gain"] is None
    assert said["confirmed"]["figure"] == "AP"


def test_a_file_that_computes_something_else_is_not_written(run, exported, images, tmp_path, monkeypatch):
    """The parity check stops what would be wrong on the runtime: here the writer's scales are twice too large."""
    from qcore_kit.quantization import qdq as convert

    real = convert.write

    def wrong(table, profile):
        made = real(table, profile)
        for tensor in made.graph.initializer:
            if tensor.name.endswith("weight_scale"):
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 1.3, tensor.name))
        return made

    made = qcore.recipe(exported).with_quantizer("onnxruntime", calibration=images).with_backend("onnxruntime")
    right = made.start().model()
    monkeypatch.setattr(convert, "write", wrong)
    monkeypatch.setattr(convert, "literal", lambda _: right.reference())
    code, _, err = run(
        *("quantize", exported, "--calib", images, "-o", tmp_path),
        *("--quantizer", "onnxruntime", "--backend", "onnxruntime"),
    )
    assert code == 1
    assert "differ from the fake-quantized reference" in err
    assert files(tmp_path) == []


class WritesQdq:
    """A quantizer that gives a Q/DQ graph, not a table."""

    def quantize(self, model, *, calibration, options, progress):  # noqa: ARG002
        from qcore.plugin import QuantizerSpec
        from qcore_kit.quantization.writer import write
        from qcore_plugins.runtimes.openvino.profile import OPENVINO

        spec = qcore.plugins.get(QuantizerSpec, "onnxruntime")
        table = spec.create().quantize(model, calibration=calibration, options=spec.settings({}), progress=progress)
        form = Form("onnx", encoding="qdq", activation="u8", symmetric=True, precision="f32")
        return table.evolve(form=form, module=write(table.module, OPENVINO))


def test_a_quantizer_without_a_table_leaves_the_checked_file_alone(run, exported, images, tmp_path, monkeypatch):
    class Plugin:
        @staticmethod
        @hookimpl
        def qcore_quantizers():
            yield QuantizerSpec(
                name="direct",
                summary="Q/DQ at once",
                factory=WritesQdq,
                accepts=(Form("onnx", encoding="float"),),
                produces=Form("onnx", encoding="qdq", activation="u8", symmetric=True, precision="f32"),
            )

    host = qcore.Host()
    host.register(Plugin)
    monkeypatch.setattr(qcore, "plugins", host)
    code, out, err = run("quantize", exported, "--calib", images, "--quantizer", "direct", "--backend", "onnxruntime",
                         "-o", tmp_path / "out", "--json")  # fmt: skip
    assert code == 0, err
    document = json.loads(out)
    assert "table" not in document
    assert files(tmp_path / "out") == ["shapes.onnx"]
    assert "quantizer" in qcore.load(document["file"]).contract.provenance["quantization"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--calib", "{no}"), "--calib {no}: no such file or folder"),
        (("--calib", "{text}"), "no readable calibration inputs"),
        (("--calib", "{images}", "--quantizer", "onnxruntime", "--exclude", "none.*"), "matches no quantizable layer"),
    ],
)
def test_a_run_that_fails_leaves_no_folder(run, exported, images, tmp_path, flags, said):
    (tmp_path / "text.png").write_text("no picture")
    places = {"no": tmp_path / "no", "text": tmp_path / "text.png", "images": images}
    flags = [flag.format(**places) for flag in flags]
    more = () if "--quantizer" in flags else ("--quantizer", "onnxruntime")
    code, _, err = run("quantize", exported, *flags, *more, "--backend", "onnxruntime", "-o", tmp_path / "new" / "out")
    assert code in (2, 6)
    assert said.format(**places) in err
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_is_told_at_once(run, exported, images, tmp_path):
    (tmp_path / "file").write_text("")
    call = ("quantize", exported, "--calib", images, "--quantizer", "onnxruntime", "--backend", "onnxruntime")
    code, _, err = run(*call, "-o", tmp_path / "file" / "out")
    assert (code, f"{tmp_path}/file/out: cannot be written to (Not a directory)" in err) == (6, True)


@pytest.mark.parametrize("text", ["0.5", "50pt", "0", "-1pt"])
def test_a_budget_of_half_the_accuracy_is_refused(run, exported, pictures, tmp_path, text):
    call = ("quantize", exported, "--calib", pictures / "images", "--quantizer", "onnxruntime", "-o", tmp_path)
    code, _, err = run(*call, "--backend", "onnxruntime", "--data", pictures / "instances.json", f"--max-drop={text}")
    assert code == 2
    assert "is not above 0 and at most 0.1" in err
    assert "0.5pt is half a point, 0.005" in err


def test_points_are_hundredths():
    from qcore_kit.tuning.drop import Drop

    assert (Drop("0.5pt"), Drop("0.005"), Drop(0.005)) == (0.005, 0.005, 0.005)
    with pytest.raises(ValueError, match="could not convert"):
        Drop("half a point")


def test_a_runtime_that_fails_does_not_keep_the_others_from_their_files(run, exported, images, tmp_path, monkeypatch):
    from qcore.plugin import FileError
    from qcore_plugins.runtimes.openvino.convert import OnnxToOpenVino

    def refuse(*_, **__):
        raise FileError("OpenVINO refuses the graph", hint="export it again")

    monkeypatch.setattr(OnnxToOpenVino, "convert", refuse)
    code, out, err = run(
        "quantize", exported, "--calib", images, "--quantizer", "onnxruntime", "-o", tmp_path / "out", "--json"
    )
    assert code == 6
    document = json.loads(out)
    assert [failure["backend"] for failure in document["failed"]] == ["openvino"]
    assert "OpenVINO refuses the graph" in err
    assert "onnxruntime/shapes.onnx" in files(tmp_path / "out")
    assert not [name for name in files(tmp_path / "out") if name.startswith("openvino")]
