"""What users install: the wheel in an empty environment, without torch, and a plugin distribution beside it."""

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = ROOT / "contrib" / "qcore-onnx-reference"
RUNTIME = ROOT / "contrib" / "qcore-ncnn"


def build(source, folder):
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob(f"{source.name.replace('-', '_')}*.whl" if source != ROOT else "qcore_quant*.whl"))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    return build(ROOT, folder), build(PLUGIN, folder)


@pytest.fixture(scope="module")
def environment(wheels, tmp_path_factory):
    """An environment of its own with the built wheel and its base dependencies; gives a way to run its commands."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)

    def call(command, *arguments, code=0):
        line = [folder / "bin" / command, *map(str, arguments)]
        done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=folder)
        assert done.returncode == code, done.stderr
        return done

    call("pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheels[0])
    return call


def test_the_wheel_holds_the_packages_and_nothing_else(wheels):
    names = zipfile.ZipFile(wheels[0]).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"qcore", "qcore_kit", "qcore_plugins"}
    assert "qcore_plugins/tools/demo/shapes.pt" in names
    assert {"qcore_plugins/tools/report/page.html.j2", "qcore_plugins/tools/report/style.css"} <= set(names)
    assert "qcore/py.typed" in names


def test_the_base_install_has_no_torch_and_says_how_to_get_it(environment, checkpoint):
    rows = json.loads(environment("qcore", "list-plugins", "--json").stdout)
    found = {(row["kind"], row["name"]): row for row in rows}
    assert found["loader", "yolov5"]["status"] == "missing"
    assert found["loader", "yolov5"]["hint"] == "pip install 'qcore-quant[torch]'"
    assert found["backend", "openvino"]["hint"] == "pip install 'qcore-quant[openvino]'"
    assert found["backend", "onnxruntime"]["status"] == "ok"
    failed = environment("qcore", "inspect", checkpoint, code=3)
    assert "pip install 'qcore-quant[torch]'" in failed.stderr


def test_the_base_install_predicts(environment, exported, pictures):
    done = environment("qcore", "predict", exported, pictures / "images" / "0000.png", "--json")
    assert json.loads(done.stdout)[0]["results"]


def test_the_base_install_attaches_a_contract(environment, exported, pictures, tmp_path):
    import onnx

    bare = onnx.load(str(exported))
    del bare.metadata_props[:]
    onnx.save(bare, str(tmp_path / "bare.onnx"))
    names = tmp_path / "names.txt"
    names.write_text("ellipse\nrectangle\ntriangle\nstar\n")
    attach = ("contract", "attach", tmp_path / "bare.onnx", "--family", "yolov5", "--names", names, "--in-place")
    environment("qcore", *attach)
    done = environment("qcore", "predict", tmp_path / "bare.onnx", pictures / "images" / "0000.png", "--json")
    assert json.loads(done.stdout)[0]["results"]


def test_the_base_install_quantizes_an_export(environment, exported, pictures, tmp_path):
    environment(
        "qcore", "quantize", exported, "--calib", pictures / "images", "--quantizer", "onnxruntime",
        "--backend", "onnxruntime", "-o", tmp_path,
    )  # fmt: skip
    assert (tmp_path / "shapes.onnx").exists()


def test_a_plugin_distribution_comes_and_goes(environment, wheels, exported, int8, pictures):
    environment("pip", "install", "--quiet", "--no-deps", wheels[1])
    rows = json.loads(environment("qcore", "list-plugins", "--json").stdout)
    (row,) = [row for row in rows if row["name"] == "onnx-reference"]
    assert (row["distribution"], row["status"]) == ("qcore-onnx-reference", "ok")
    picture = pictures / "images" / "0000.png"
    for model, apart in ((exported, 1e-3), (int8, 0.1)):
        found = [
            json.loads(environment("qcore", "predict", model, picture, "--backend", backend, "--json").stdout)[0][
                "results"
            ]
            for backend in ("onnx-reference", "onnxruntime")
        ]
        assert [one["name"] for one in found[0]] == [one["name"] for one in found[1]]
        assert all(abs(a["confidence"] - b["confidence"]) < apart for a, b in zip(*found, strict=True))
    environment("pip", "uninstall", "--quiet", "--yes", "qcore-onnx-reference")
    rows = json.loads(environment("qcore", "list-plugins", "--json").stdout)
    assert [row for row in rows if row["name"] == "onnx-reference"] == []


def test_the_plugins_own_tests_pass(tmp_path, wheels):
    """They run against this environment's qcore, with the plugin's wheel unpacked beside it."""
    zipfile.ZipFile(wheels[1]).extractall(tmp_path)
    options = ["-q", "-p", "no:cacheprovider", "-c", PLUGIN / "pyproject.toml"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, PLUGIN / "tests"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_runtime_comes_does_the_whole_job_and_goes(environment, exported, pictures, tmp_path):
    environment("pip", "install", "--quiet", "-c", ROOT / "constraints.txt", build(RUNTIME, tmp_path))
    rows = json.loads(environment("qcore", "list-plugins", "--json").stdout)
    own = {row["kind"]: row["status"] for row in rows if row["distribution"] == "qcore-ncnn"}
    assert own == dict.fromkeys(("format", "converter", "backend", "profile", "probe", "linter"), "ok")
    checks = environment("qcore", "check-plugin", "ncnn").stdout
    assert "checks passed" in checks
    assert "failed" not in checks
    environment("pip", "install", "--quiet", "-c", ROOT / "constraints.txt", "pytest")
    options = ("-q", "-p", "no:cacheprovider", "-c", RUNTIME / "pyproject.toml", RUNTIME / "tests")
    environment("python", "-m", "pytest", *options)

    data = ("--data", pictures / "instances.json")
    to = ("--quantizer", "onnxruntime", "--backend", "ncnn", "-o", tmp_path)
    environment("qcore", "quantize", exported, "--calib", pictures / "images", *to)
    int8 = tmp_path / "shapes.param"
    environment("qcore", "export", exported, "--to", "ncnn", "-o", tmp_path / "float")
    environment("qcore", "compare", exported, tmp_path / "float" / "shapes.param", *data)
    found = json.loads(environment("qcore", "eval", int8, *data, "--json").stdout)
    wanted = json.loads(environment("qcore", "eval", exported, *data, "--json").stdout)
    assert found["AP"] > wanted["AP"] - 0.05
    environment("qcore", "benchmark", exported, int8, "--rounds", 2, "--launches", 1)
    assert json.loads(environment("qcore", "check", int8, "--json").stdout)["target"] == "ncnn"

    environment("pip", "uninstall", "--quiet", "--yes", "qcore-ncnn")
    rows = json.loads(environment("qcore", "list-plugins", "--json").stdout)
    assert [row for row in rows if "ncnn" in row["name"]] == []
    assert "not a model file of a known format" in environment("qcore", "predict", int8, exported, code=6).stderr
