"""`qcore snippet`: its scripts find what qcore finds."""

import json
import runpy
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import qcore
from qcore.plugin import Form, Model, PreprocessorSpec, Tensor
from qcore.workflow import opening as loading
from qcore_plugins.families.yolonas.contract import POSTPROCESS
from qcore_plugins.families.yolonas.pipelines import PIPELINES
from qcore_plugins.tools.snippet import snippet as snippets

TENSOR = Tensor


def in_another_layout(exported, folder, layout):
    """The detector with the outputs, pixels and thresholds of another family."""
    model = qcore.load(exported)
    contract, (output,) = model.contract, model.contract.outputs
    _, rows, width = output.shape
    nc = width - 5
    graph = model.module.graph
    graph.initializer.append(numpy_helper.from_array(np.array([2, 2, 1, nc]), "parts"))
    graph.initializer.append(numpy_helper.from_array(np.array(0.5, np.float32), "half"))
    add = [("Split", [output.name, "parts"], ["xy", "wh", "obj", "cls"], {"axis": 2})]
    if layout == "yolov9":
        made = [TENSOR("joined", "float32", (1, 4 + nc, rows), None, "boxes-classes", "decoded")]
        add += [
            ("Mul", ["cls", "obj"], ["both"], {}),
            ("Concat", ["xy", "wh", "both"], ["rows"], {"axis": 2}),
            ("Transpose", ["rows"], ["joined"], {"perm": [0, 2, 1]}),
        ]
    else:
        made = [
            TENSOR("corners", "float32", (1, rows, 4), None, "boxes", "decoded"),
            TENSOR("chances", "float32", (1, rows, nc), None, "scores", "decoded"),
        ]
        add += [
            ("Mul", ["cls", "obj"], ["chances"], {}),
            ("Mul", ["wh", "half"], ["side"], {}),
            ("Sub", ["xy", "side"], ["low"], {}),
            ("Add", ["xy", "side"], ["high"], {}),
            ("Concat", ["low", "high"], ["corners"], {"axis": 2}),
        ]
        size = contract.inputs[0].shape[2]
        pixels = {**PIPELINES["coco"], "fit_within": [size - 4, size - 4], "scale": 1 / 255}
        contract = replace(
            contract,
            preprocess=contract.preprocess.updated(pixels),
            postprocess=contract.postprocess.updated({**POSTPROCESS, "confidence": 0.1}),
        )
    graph.node.extend(helper.make_node(op, given, names, **attributes) for op, given, names, attributes in add)
    del graph.output[:]
    graph.output.extend(helper.make_tensor_value_info(one.name, onnx.TensorProto.FLOAT, one.shape) for one in made)
    changed = model.evolve(contract=replace(contract, outputs=tuple(made)), notes={})
    return loading.save(changed, folder, layout, qcore.plugins)[-1]


@pytest.fixture(scope="module")
def files(exported, int8, tmp_path_factory):
    folder = tmp_path_factory.mktemp("layouts")
    made = {"yolov5": exported, "int8": int8}
    made |= {layout: in_another_layout(exported, folder, layout) for layout in ("yolov9", "yolonas")}
    for name in ("yolov5", "yolov9", "yolonas"):
        base = qcore.recipe(made[name])
        made[f"{name} nms"] = base.with_head("nms").start().save(folder / f"{name}-nms", to="onnx")
    for name in ("yolov5", "yolov9", "yolonas", "yolov5 nms"):
        made[f"{name} openvino"] = qcore.recipe(made[name]).start().save(folder / name / "ov", to="openvino")
    return made


NAMES = [
    *("yolov5", "yolov9", "yolonas", "int8", "yolov5 nms", "yolov9 nms", "yolonas nms"),
    *("yolov5 openvino", "yolov9 openvino", "yolonas openvino", "yolov5 nms openvino"),
]


@pytest.mark.parametrize("name", NAMES)
def test_the_script_finds_what_qcore_finds(run, files, pictures, tmp_path, name):
    code, out, err = run("snippet", files[name])
    assert (code, err) == (0, "")
    script = tmp_path / "detect.py"
    script.write_text(out)
    made = runpy.run_path(str(script))
    session = made["load"](made["MODEL"])
    predictor = qcore.predictor(files[name])
    compared = 0
    for picture in sorted((pictures / "images").iterdir()):
        tensor, place = made["preprocess"](made["read"](str(picture)))
        found = made["postprocess"](session({made["INPUT"]: tensor}), place)
        wanted = predictor(picture).records()
        assert [one["name"] for one in found] == [one["name"] for one in wanted]
        for one, other in zip(found, wanted, strict=True):
            assert one["class_id"] == other["class_id"]
            assert one["confidence"] == pytest.approx(other["confidence"], abs=0.01)
            assert one["box"] == pytest.approx(other["box"], abs=1)
        compared += len(found)
    assert compared > 10


def test_it_runs_without_qcore_and_prints_json(run, exported, pictures, tmp_path):
    _, out, _ = run("snippet", exported, "--json")
    script = tmp_path / "detect.py"
    script.write_text(json.loads(out)["script"])
    picture = sorted((pictures / "images").iterdir())[0]
    block = "import sys, runpy; sys.modules.update({name: None for name in ('qcore', 'qcore_plugins', 'torch')}); "
    start = f"{block}sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", start, script, picture], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    wanted = qcore.predictor(exported)(picture)
    assert [one["class_id"] for one in found] == wanted.class_id.tolist()
    assert found[0]["input"] == str(picture)


def test_a_fixed_batch_is_filled(run, checkpoint, pictures, tmp_path):
    run("export", checkpoint, "--to", "onnx", "--batch", "2", "-o", tmp_path)
    _, out, _ = run("snippet", tmp_path / f"{checkpoint.stem}.onnx")
    (tmp_path / "detect.py").write_text(out)
    made = runpy.run_path(str(tmp_path / "detect.py"))
    tensor, place = made["preprocess"](made["read"](str(sorted((pictures / "images").iterdir())[0])))
    assert tensor.shape[0] == 2
    assert made["postprocess"](made["load"](made["MODEL"])({made["INPUT"]: tensor}), place)


PARAMETERS = [
    {},
    {"fit": "long-side", "upscale": False},
    {"fit_within": [90, 70], "rounding": "int", "pad": "bottom-right", "pad_value": 0},
    {"rounding": "ceil", "interpolation": "area-down", "channels": "BGR", "scale": None},
    {"picture_aspect": 1.7778},
]


@pytest.mark.parametrize("params", PARAMETERS)
@pytest.mark.parametrize("size", [(50, 133), (301, 77), (96, 128)])
def test_the_pixels_are_the_same_for_all_parameters(params, size):
    spec = qcore.plugins.get(PreprocessorSpec, "letterbox")
    letterbox = spec.load()(params, [TENSOR("x", "float32", (1, 3, 96, 128))])
    made = {}
    exec(compile(letterbox.source(), "source", "exec"), made)
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    wanted, geometry = letterbox.fitted(picture)
    tensor, place = made["preprocess"](picture)
    np.testing.assert_array_equal(tensor, wanted)
    boxes = np.array([[1.0, 2, 30, 40]])
    back = (boxes.reshape(-1, 2, 2) - place["offset"]) / place["factor"]
    np.testing.assert_allclose(back.reshape(-1, 4), geometry.to_picture(boxes))


@pytest.mark.parametrize("package", ["tensorrt", "tensorrt_rtx"])
def test_the_script_of_an_engine_imports_the_package_that_built_it(package):
    from qcore_plugins.runtimes.tensorrt.format import Engine
    from qcore_plugins.runtimes.tensorrt.snippet import source

    text = source(Model(Form("tensorrt"), Engine(b"", {"package": package}), None))
    compile(text, "source", "exec")
    assert (f"import {package} as tensorrt\n" in text) == (package != "tensorrt")
    assert "import tensorrt" in text


def test_what_has_no_script_is_told(run, checkpoint, tmp_path):
    run("export", checkpoint, "--to", "onnx", "--head", "raw", "-o", tmp_path)
    code, out, err = run("snippet", tmp_path / f"{checkpoint.stem}.onnx")
    assert (code, out) == (2, "")
    assert "there is no script for these outputs" in err
    assert "--head decoded" in err
    code, out, err = run("snippet", checkpoint)
    assert (code, out) == (2, "")
    assert "no script runs a checkpoint file" in err
    assert f"qcore export {checkpoint} --to onnx" in err


def test_texts_are_data_not_code():
    text = 'NAME = ""  # which\nOTHER = (\n    1,\n)\n'
    made = {}
    filled = snippets.filled(text, {"NAME": '"; import os #', "OTHER": tuple(f"'{place}\\" for place in range(40))})
    exec(filled, made)
    assert made["NAME"] == '"; import os #'
    assert made["OTHER"][-1] == "'39\\"
    assert "# which" in filled.splitlines()[0]
