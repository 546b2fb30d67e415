"""`qcore doctor` as its users meet it, and what it knows of the machine."""

import getpass
import json
import platform
import re
from importlib import metadata

import pytest

import qcore
from qcore.cli.console import Output
from qcore.plugin import DISTRIBUTION, BackendSpec, Requirement, hookimpl
from qcore_kit import machine
from qcore_plugins.tools.doctor import command as doctor

CPUINFO = """processor\t: 0
model name\t: A Processor
flags\t\t: fpu avx2 {}

processor\t: 1
model name\t: Another
flags\t\t: fpu
"""


@pytest.fixture
def cpu(monkeypatch, tmp_path):
    """Let the machine have a CPU with those flags."""

    def having(*flags):
        path = tmp_path / "cpuinfo"
        path.write_text(CPUINFO.format(" ".join(flags)))
        monkeypatch.setattr(machine, "_CPUINFO", path)

    return having


@pytest.fixture
def nvidia_smi(monkeypatch, tmp_path):
    """Let the machine have a program of that name."""

    def printing(text):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return printing


def add(*specs):
    plugins = qcore.Host(entry_points=False)

    class Mine:
        @staticmethod
        @hookimpl
        def qcore_backends():
            yield from specs

    plugins.register(Mine, "mine")
    return plugins


def backend(name, **settings):
    return BackendSpec(name=name, summary="", factory=object, accepts=(), **settings)


def test_everything_is_told(run):
    code, out, err = run("doctor")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith(f"qcore {qcore.__version__}, Python {platform.python_version()}, ")
    assert lines[1].startswith("CPU: ")
    assert any(line.startswith("GPU: ") for line in lines)
    table = {line.split()[0]: line.split()[1] for line in lines if len(line.split()) > 2}
    for package in ("numpy", "onnxruntime", "pluggy"):
        assert table[package] == metadata.version(package)
    assert "none of them broken" in lines[-1]


def test_it_can_be_shown_to_strangers(run):
    for flags in ([], ["--json"]):
        _, out, _ = run("doctor", *flags)
        assert platform.node() not in out.split()
        assert not re.search(r"(^|[\s'\"(])/\w+/\w+", out)
        assert f"/{getpass.getuser()}" not in out


def test_json_is_the_same_as_data(run):
    code, out, _ = run("doctor", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["cpu"]["cores"] >= 1
    (row,) = [row for row in document["packages"] if row["package"] == "onnxruntime"]
    assert (row["installed"], row["problem"]) == (metadata.version("onnxruntime"), None)
    assert {"qcore itself", "backend onnxruntime", "quantizer onnxruntime"} <= set(row["components"])
    assert document["plugins"]["problems"] == []


def test_what_is_missing_comes_with_what_it_costs_and_the_command(capsys):
    absent = Requirement("absent_runtime", "absent-runtime", ">=2", extra="tiny")
    old = Requirement("pluggy", "pluggy", ">=99")
    plugins = add(backend("tiny", requires=(absent,)), backend("other", requires=(absent, old)))
    assert doctor.run(Output(), plugins) == 0
    out = capsys.readouterr().out
    assert "absent-runtime is not installed, which costs backend tiny, backend other\n" in out
    assert f"  pip install '{DISTRIBUTION}[tiny]'\n" in out
    assert re.search(r"pluggy [\d.]+ is installed, >=99 is needed, which costs .*backend other\n", out)
    assert "  pip install 'pluggy>=99'\n" in out


def test_one_of_two_packages_is_enough(capsys):
    absent = Requirement("absent_one", "absent-one", instead=(Requirement("pluggy", "pluggy"),))
    plugins = add(backend("tiny", requires=(absent,)))
    rows = {row["package"]: row for row in doctor.examine(plugins)["packages"]}
    assert rows["absent-one"]["problem"] is None
    assert rows["absent-one"]["installed"] is None
    assert "backend tiny" in rows["pluggy"]["components"]
    doctor.run(Output(), plugins)
    assert "pip install" not in capsys.readouterr().out


def test_a_broken_plugin_is_told_without_its_folder(monkeypatch):
    class Broken:
        name, value, dist = "mine", "mine", None

        def load(self):
            raise ImportError("libtiny.so: cannot open /home/someone/lib/libtiny.so.3")

    monkeypatch.setattr(metadata, "entry_points", lambda group: [Broken()] if group == "qcore" else [])
    (problem,) = doctor.examine(qcore.Host())["plugins"]["problems"]
    assert (problem["name"], problem["status"]) == ("mine", "broken")
    assert problem["problem"].endswith("cannot open libtiny.so.3")


def test_two_components_of_one_name_are_a_problem():
    found = doctor.examine(add(backend("tiny"), backend("tiny")))["plugins"]["problems"]
    assert [row["status"] for row in found] == ["conflict", "conflict"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("no /home/me/a/b.py here", "no b.py here"),
        ("('/opt/x/y.so')", "('y.so')"),
        (r"C:\Users\me\z.dll", "z.dll"),
        ("~/me/z", "z"),
        ("see https://example.org/a/b and docs/check.md, and/or 3/4", None),
    ],
)
def test_folders_of_absolute_paths_are_left_out(text, left):
    assert doctor.without_folders(text) == (text if left is None else left)


@pytest.mark.parametrize(
    ("flags", "saturates"), [([], True), (["avx512_bf16"], True), (["avx_vnni"], False), (["avx512_vnni"], False)]
)
def test_what_the_lack_of_vnni_costs_is_said(run, cpu, flags, saturates):
    cpu(*flags)
    assert machine.cpu()["flags"] == ["avx2", *flags]
    _, out, _ = run("doctor")
    assert "CPU: A Processor (avx2" in out
    assert ("sums of int8 products saturate" in out) == saturates


def test_a_system_that_does_not_tell_its_flags(run, monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "absent")
    monkeypatch.setattr(machine, "_MEMINFO", tmp_path / "absent")
    code, out, _ = run("doctor")
    assert code == 0
    assert "flags unknown" in out
    assert "saturate" not in out
    assert "GiB" not in out.splitlines()[1]


def test_gpus_are_read_from_nvidia_smi(run, nvidia_smi):
    nvidia_smi("NVIDIA H200, 550.54.15, 143771 MiB")
    assert "GPU: NVIDIA H200, 143771 MiB, driver 550.54.15\n" in run("doctor")[1]


def test_or_from_the_driver(monkeypatch, tmp_path):
    (tmp_path / "gpus" / "0").mkdir(parents=True)
    (tmp_path / "gpus" / "0" / "information").write_text("Model: \t\t NVIDIA L4\nIRQ: 5\n")
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19\nGCC\n")
    monkeypatch.setattr(machine, "_NVIDIA", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.gpus() == [{"name": "NVIDIA L4", "driver": "535.104.05"}]


def test_a_driver_that_fails_is_no_gpu(monkeypatch, nvidia_smi, tmp_path):
    nvidia_smi("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.")
    monkeypatch.setattr(machine, "_NVIDIA", tmp_path / "absent")
    assert machine.gpus() == []


@pytest.mark.parametrize(
    ("flags", "kind"), [((), "avx2"), (("avx_vnni",), "vnni"), (("avx512_vnni",), "vnni"), (("amx_int8",), "amx")]
)
def test_kinds_of_cpu(cpu, flags, kind):
    cpu(*flags)
    assert machine.kind() == kind
    assert machine.saturates() == (kind == "avx2")
    assert machine.saturates("avx2")
    assert not machine.saturates("vnni")


def test_doctor_answers_for_a_cpu_that_is_not_this_one(run, cpu):
    cpu("avx512_vnni")
    _, out, _ = run("doctor", "--cpu", "avx2")
    assert "--cpu avx2: without VNNI, sums of int8 products saturate" in out
    assert "1.4 times as fast as float on OpenVINO, 1.1 times on ONNX Runtime" in out
    cpu()
    _, out, _ = run("doctor", "--cpu", "vnni")
    assert "--cpu vnni: with VNNI, sums of int8 products are exact" in out
    assert "saturate" not in out
    document = json.loads(run("doctor", "--cpu", "vnni", "--json")[1])
    assert (document["kind"], document["saturates"]) == ("vnni", False)
    code, _, err = run("doctor", "--cpu", "sse")
    assert code == 2
    assert "avx2" in err
