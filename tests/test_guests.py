"""Installing a guest changes nothing that was not asked of it, whatever it is called and whatever it claims."""

import importlib
import re
import sys
import textwrap

import pytest

import qcore
from qcore import Host
from qcore.cli import main
from qcore.host.choice import bundled

GUEST = """
    from dataclasses import replace

    from qcore.plugin import hookimpl


    class Never:
        def __init__(self, *_):
            pass

        def __getattr__(self, name):
            raise AssertionError(f"{name} of a guest was asked for")


    class Rules:
        def rules(self):
            return []


    def clones(kind):
        factory = Rules if kind == "linter" else Never
        for spec in OWN[kind]:
            for name in (spec.name, f"{spec.name}-NAME"):
                yield replace(spec, name=name, factory=factory, requires=(), plugin="", distribution="")
"""


@pytest.fixture
def guests(monkeypatch, tmp_path_factory):
    """Distributions `aaa` and `zzz`, whose plugins copy every component there is, under its name and another."""
    folder = tmp_path_factory.mktemp("guests")
    alone = Host()
    own = {kind: [spec for spec in alone.specs(kind) if type(spec) is kind] for kind in alone.kinds()}
    for name in ("aaa", "zzz"):
        text = textwrap.dedent(GUEST).replace("NAME", name)
        hooks = "".join(
            f"\n\n@hookimpl\ndef qcore_{k.kind}s():\n    return clones({k.kind!r})\n" for k in alone.kinds()
        )
        (folder / f"{name}.py").write_text(
            text.replace("HOST.specs(kind)", "OWN[kind]").replace("kind.kind", "kind") + hooks
        )
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[qcore]\n{name} = {name}\n")
    monkeypatch.syspath_prepend(str(folder))
    for name in ("aaa", "zzz"):
        monkeypatch.setitem(sys.modules, name, None)
        del sys.modules[name]
        importlib.import_module(name).OWN = {kind.kind: specs for kind, specs in own.items()}
    return Host


def answers(capsys, monkeypatch, host, commands):
    """Exit code and output of each command, without what differs from run to run.

    OpenVINO numbers the operations of a process, so files of one model differ by some bytes.
    """
    monkeypatch.setattr(qcore, "plugins", host)
    told = []
    for command in commands:
        code = main([str(part) for part in command])
        out = capsys.readouterr().out
        told.append((code, re.sub(r'"bytes": \d+', "", out)))
    return told


def test_every_kind_has_a_guest(guests):
    host = guests()
    for kind in host.kinds():
        specs = [spec for spec in host.specs(kind) if type(spec) is kind]
        own = [spec for spec in specs if bundled(spec)]
        names = [spec.plugin for spec in specs]
        assert own
        assert names.count("aaa") == names.count("zzz") == 2 * len(own)
    broken = [row for row in host.rows() if row["status"] == "broken"]
    assert broken == []


def test_the_bundled_component_keeps_its_name(guests):
    host = guests()
    for kind in host.kinds():
        for spec in [spec for spec in host.specs(kind) if bundled(spec)]:
            assert host.get(kind, spec.name) is spec
            assert host.get(kind, f"aaa:{spec.name}").plugin == "aaa"


def test_commands_do_what_they_did(guests, capsys, monkeypatch, checkpoint, exported, int8, pictures, tmp_path):
    images, labels = pictures / "images", pictures / "instances.json"
    quantizing = ("--calib", images, "--quantizer", "onnxruntime", "--imgsz", "128")

    def commands(out):
        return [
            ("plan", checkpoint),
            ("plan", checkpoint, "nncf", "openvino", "--json"),
            ("plan", checkpoint, "onnxruntime", "onnxruntime", "--json"),
            ("inspect", checkpoint, "--json"),
            ("inspect", exported, "--json"),
            ("export", checkpoint, "--to", "openvino", "--imgsz", "128", "-o", out / "float", "--json"),
            ("export", checkpoint, "--to", "onnx", "--imgsz", "128", "--head", "nms", "-o", out / "nms", "--json"),
            ("quantize", checkpoint, *quantizing, "--backend", "onnxruntime", "-o", out / "int8", "--json"),
            ("predict", int8, images, "--json"),
            ("eval", exported, "--data", labels, "--json"),
            ("check", int8, "--target", "onnxruntime", "--json"),
            ("compare", exported, int8, "--data", images, "--limit", "2", "--json"),
            ("snippet", exported),
        ]

    def plain(told, out):
        return [(code, text.replace(str(out), "OUT")) for code, text in told]

    alone = plain(answers(capsys, monkeypatch, Host(), commands(tmp_path / "a")), tmp_path / "a")
    among = plain(answers(capsys, monkeypatch, guests(), commands(tmp_path / "b")), tmp_path / "b")
    for command, before, after in zip(commands(tmp_path), alone, among, strict=True):
        assert after == before, command
    assert {code for code, _ in alone} <= {0, 1}
    assert '"agree": true' in alone[7][1]


def test_a_guest_is_used_where_it_is_named(guests, capsys, monkeypatch, exported, pictures):
    monkeypatch.setattr(qcore, "plugins", guests())
    code = main(["predict", str(exported), str(pictures / "images"), "--backend", "aaa:onnxruntime"])
    assert code == 5
    assert "backend onnxruntime of plugin aaa failed in compile" in capsys.readouterr().err
