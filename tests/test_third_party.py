"""One distribution of somebody else at work: its own kind, runtime, profile, rule, command and reporter."""

import json
import os
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

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
from qcore_kit.kinds import LinterSpec, ProfileSpec, ReporterSpec

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
from qcore_kit.commandline import add_report
from qcore_kit.quantization.profiles import Profile
from qcore_kit.quantization.qdq import QdqConverter
from qcore_kit.reports import Report
from qcore_kit.reports.writing import write


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
        add_report(parser)

    def run(self, options, output, host):
        spec = host.get(PackagerSpec, options.packager)
        package = options.file.with_suffix(spec.suffix)
        spec.create().pack(options.file, package)
        if options.report:
            write(Report(f"pack: {options.file.name}", "pass", "packed", (), {}), options.report, host)
        output.say(str(package))


class Mentions:
    """A file that Acme signs.

    Why: unsigned files are refused.

    Mend: sign it.
    """

    id, severity, targets, summary = "ACME001", "error", ("acme",), "A file that is not signed"

    def check(self, subject):
        yield Finding(self.id, self.severity, "", f"{subject.path.name} is not signed", "refused", "acme sign")


class Rules:
    def rules(self):
        return [Mentions()]


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
        "backend": "acme"
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
