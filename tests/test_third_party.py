"""One distribution of somebody else at work: its own kind, runtime, profile, layout, rule, command and reporter."""

import json
import os
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

POINTS = Path(__file__).resolve().parents[1] / "docs" / "examples" / "points.py"

KINDS = '''
from dataclasses import dataclass
from typing import Any, ClassVar

from qcore.plugin import Spec


@dataclass(frozen=True, kw_only=True)
class PackagerSpec(Spec[Any]):
    """Puts a file into a package."""

    kind: ClassVar[str] = "packager"
    suffix: str


KINDS = (PackagerSpec,)
'''

PLUGIN = """
from dataclasses import dataclass

from acme.kinds import PackagerSpec
from qcore.plugin import BackendSpec, CommandSpec, Form, hookimpl
from qcore_kit.kinds import LayoutSpec, LinterSpec, ProfileSpec, ReporterSpec

qcore_api = "1"


@hookimpl
def qcore_packagers():
    yield PackagerSpec(name="zip", summary="Zip files", factory="acme.parts:Zip", suffix=".zip")


@hookimpl
def qcore_commands():
    yield CommandSpec(name="pack", summary="Put a file into a package", factory="acme.parts:Pack")


@dataclass(frozen=True)
class Settings:
    threads: int = 1


@hookimpl
def qcore_backends():
    forms = (Form("onnx", encoding="qdq", profile="acme"), Form("onnx", encoding="float"))
    yield BackendSpec(
        name="acme", summary="The Acme runtime", factory="acme.parts:Runtime", accepts=forms, options=Settings
    )


@hookimpl
def qcore_linters():
    targets = ("acme",)
    yield LinterSpec(name="acme", summary="What Acme takes", factory="acme.parts:Rules", targets=targets, format="onnx")


@hookimpl
def qcore_reporters():
    yield ReporterSpec(name="acme-text", summary="The verdict as text", factory="acme.parts:Plain", suffix=".txt")


@hookimpl
def qcore_layouts():
    yield LayoutSpec(
        name="acme-scores-first", summary="[B, N, classes + 4], scores then corners", factory="acme.parts:ScoresFirst",
        matches=(("acme-scores-first", "decoded"),),
    )


@hookimpl
def qcore_profiles():
    yield ProfileSpec(
        name="acme", summary="Q/DQ for Acme", factory="acme.parts:converter",
        produces=Form("onnx", encoding="qdq", activation="u8", symmetric=False, precision="f32", profile="acme"),
    )
"""

PARTS = '''
import zipfile
from pathlib import Path

from acme.kinds import PackagerSpec
from qcore_kit.checks import Finding
from qcore_kit.quantization.profiles import Profile
from qcore_kit.quantization.qdq import QdqConverter
from qcore_kit.reports import Report
from qcore_kit.reports.command import add_observers, begun


class Session:
    executed_precision = "int8"

    def __init__(self, module, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(module.SerializeToString(), options)
        self.names = [output.name for output in self.session.get_outputs()]

    def run(self, inputs):
        return dict(zip(self.names, self.session.run(self.names, dict(inputs)), strict=True))


class Runtime:
    def ready(self, options):
        assert options.threads == 1

    def compile(self, model, *, options):
        return Session(model.module, options.threads)


class Zip:
    def pack(self, path, package):
        with zipfile.ZipFile(package, "w") as archive:
            archive.write(path, path.name)


class Pack:
    example = "qcore pack model.onnx --as zip"

    def arguments(self, parser, host):
        parser.add_argument("file", type=Path)
        parser.add_argument("--as", dest="packager", choices=[spec.name for spec in host.specs(PackagerSpec)])
        add_observers(parser, host)

    def run(self, options, output, host):
        spec = host.get(PackagerSpec, options.packager)
        package = options.file.with_suffix(spec.suffix)
        spec.create().pack(options.file, package)
        observers = begun(options, host)
        observers.tell(Report(f"pack: {options.file.name}", "pass", "packed", (), {}), output)
        output.say(str(package))


class Mentions:
    """A file that Acme signs.

    Why: unsigned files are refused.

    Fix: sign it.
    """

    id, severity, targets, summary = "ACME001", "error", ("acme",), "A file that is not signed"

    def check(self, subject):
        yield Finding(self.id, self.severity, "", f"{subject.path.name} is not signed", "refused", "acme sign")


class Rules:
    def rules(self):
        return [Mentions()]


class ScoresFirst:
    def read(self, outputs, values):
        rows = values[outputs[0].name]
        return rows[..., -4:], rows[..., :-4]

    def parts(self, output, values, size, classes):
        return {"scores": (values[..., :-4], lambda index: classes[index[2]]), "corners": (values[..., -4:], str)}

    def count(self, output, shape):
        return shape[2] - 4

    def script(self, outputs):
        rows = f"outputs[{outputs[0].name!r}][0]"
        return f"def decode(outputs):\\n    rows = {rows}\\n    return rows[:, -4:], rows[:, :-4]\\n"

    def tail(self, graph, outputs):
        name, (_, count, size) = outputs[0].name, outputs[0].shape
        whole = graph.free(name)
        return graph.slice(whole, size - 4, size, 2), graph.slice(whole, 0, size - 4, 2), count


class Plain:
    def write(self, report, path):
        path.write_text(f"{report.title}: {report.verdict}", encoding="utf-8")


converter = QdqConverter(
    Profile(
        "acme", "u8", symmetric=False, every_output=True, whole_silu=False, share_concat=False, share_add=False,
        last_layer=True, integer_bias=True,
    )
)
'''


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder for PYTHONPATH that holds the distribution `acme-qcore` as an installer leaves it."""
    site = tmp_path_factory.mktemp("site")
    for name, text in {"__init__": "", "kinds": KINDS, "plugin": PLUGIN, "parts": PARTS}.items():
        path = site / "acme" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    info = site / "acme_qcore-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-qcore\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[qcore]\nacme = acme.plugin\n\n[qcore.kinds]\nacme = acme.kinds\n")
    return site


@pytest.fixture(scope="module")
def qcore_(installed, tmp_path_factory):
    """The command line with it, in a folder with a model of clouds of points; gives standard output."""
    folder = tmp_path_factory.mktemp("work")
    points = runpy.run_path(str(POINTS))
    points["write_model"](folder / "points.onnx")
    points["write_clouds"](folder / "clouds", 8, seed=3)
    paths = [str(installed), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "QCORE_PLUGINS": str(POINTS)}

    def run(*arguments, code=0):
        command = [sys.executable, "-m", "qcore", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=folder)
        assert done.returncode == code, done.stderr
        return done.stdout

    run.folder = folder
    return run


def test_everything_of_it_is_listed(qcore_):
    rows = [row for row in json.loads(qcore_("list-plugins", "--json")) if row["distribution"] == "acme-qcore"]
    kinds = {row["kind"]: row["name"] for row in rows}
    assert kinds == {
        "packager": "zip", "command": "pack", "linter": "acme", "reporter": "acme-text", "profile": "acme",
        "backend": "acme", "layout": "acme-scores-first",
    }  # fmt: skip
    assert {(row["status"], row["version"], row["api"]) for row in rows} == {("ok", "1.2", "1")}


def test_its_runtime_gets_its_profile_and_its_rule_is_asked(qcore_):
    qcore_("quantize", "points.onnx", "--calib", "clouds", "--quantizer", "onnxruntime",
           "--backend", "acme", "-o", "int8")  # fmt: skip
    contract = json.loads(qcore_("contract", "show", "int8/points.onnx"))
    assert contract["provenance"]["quantization"]["profile"] == "acme"
    report = json.loads(qcore_("check", "int8/points.onnx", "--target", "acme", "--json", code=1))
    assert ("ACME001", "points.onnx is not signed") in [(one["rule"], one["message"]) for one in report["findings"]]
    assert "unsigned files are refused" in qcore_("check", "--explain", "ACME001")


def test_its_command_uses_its_kind_and_its_reporter(qcore_):
    assert qcore_("pack", "points.onnx", "--as", "zip", "--report", "page") == "points.zip\n"
    assert zipfile.ZipFile(qcore_.folder / "points.zip").namelist() == ["points.onnx"]
    assert (qcore_.folder / "page" / "report.txt").read_text() == "pack: points.onnx: pass"
    assert (qcore_.folder / "page" / "report.html").exists()
    assert "pack" in qcore_("--help")


@pytest.fixture(scope="module")
def turned(exported, qcore_):
    """The detector that ships with qcore, its output rewritten to what the layout of `acme` reads."""
    model = onnx.load(str(exported))
    contract = json.loads(model.metadata_props[0].value)
    output = model.graph.output[0]
    channels = contract["outputs"][0]["shape"][2]
    add = model.graph.node.append
    parts = ["turned.xy", "turned.wh", "turned.objectness", "turned.classes"]
    sizes = onnx.numpy_helper.from_array(np.array([2, 2, 1, channels - 5]), "turned.sizes")
    half = onnx.numpy_helper.from_array(np.float32(0.5), "turned.half")
    model.graph.initializer.extend([sizes, half])
    add(onnx.helper.make_node("Split", [output.name, "turned.sizes"], parts, "turned_split", axis=2))
    add(onnx.helper.make_node("Mul", [parts[1], "turned.half"], ["turned.radius"], "turned_half"))
    add(onnx.helper.make_node("Sub", [parts[0], "turned.radius"], ["turned.first"], "turned_first"))
    add(onnx.helper.make_node("Add", [parts[0], "turned.radius"], ["turned.last"], "turned_last"))
    add(onnx.helper.make_node("Mul", [parts[2], parts[3]], ["turned.scores"], "turned_scores"))
    joined = ["turned.scores", "turned.first", "turned.last"]
    add(onnx.helper.make_node("Concat", joined, ["turned"], "turned_join", axis=2))
    shape = [*contract["outputs"][0]["shape"][:2], channels - 1]
    output.CopyFrom(onnx.helper.make_tensor_value_info("turned", onnx.TensorProto.FLOAT, shape))
    contract["outputs"] = [
        {"name": "turned", "dtype": "float32", "shape": shape, "meaning": "acme-scores-first", "stage": "decoded"}
    ]
    model.metadata_props[0].value = json.dumps(contract)
    onnx.save(model, str(qcore_.folder / "turned.onnx"))
    return qcore_.folder / "turned.onnx"


def test_its_layout_is_read_wherever_outputs_are(turned, exported, pictures, qcore_):
    picture = pictures / "images" / "0000.png"

    def found(file):
        (document,) = json.loads(qcore_("predict", file, picture, "--json"))
        return [(one["name"], [round(side) for side in one["box"]]) for one in document["results"]]

    before = found(exported)
    assert before
    assert found(turned) == before
    qcore_("export", turned, "--to", "onnx", "--head", "nms", "-o", "nms")
    assert found("nms/turned.onnx") == before
    verdict = json.loads(qcore_("compare", turned, turned, "--data", pictures / "images", "--limit", 2, "--json"))
    tensors = next(step for step in verdict["steps"] if step["step"] == "raw tensors")
    assert set(tensors["figures"]) == {"scores", "corners"}


def test_a_script_without_qcore_reads_its_layout(turned, pictures, qcore_):
    (qcore_.folder / "detect.py").write_text(qcore_("snippet", turned))
    picture = pictures / "images" / "0000.png"
    (document,) = json.loads(qcore_("predict", turned, picture, "--json"))
    done = subprocess.run(
        [sys.executable, "detect.py", picture], capture_output=True, text=True, check=False, cwd=qcore_.folder
    )
    assert done.returncode == 0, done.stderr
    assert all(one["name"] in done.stdout for one in document["results"])


def test_its_count_of_classes_is_held_against_the_contract(turned, qcore_):
    model = onnx.load(str(turned))
    contract = json.loads(model.metadata_props[0].value)
    contract["classes"] = [*contract["classes"], "cloud"]
    model.metadata_props[0].value = json.dumps(contract)
    onnx.save(model, str(qcore_.folder / "more.onnx"))
    report = json.loads(qcore_("check", "more.onnx", "--target", "onnxruntime", "--json", code=1))
    assert any("5" in one["message"] and "4" in one["message"] for one in report["findings"])
