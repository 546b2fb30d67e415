"""A plugin is one file of ten lines."""

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Literal

import pytest

from qcore import Host
from qcore.plugin import BackendSpec, CommandSpec, Form, Option, PluginError, UsageError

HELLO = """
from qcore.plugin import CommandSpec, hookimpl


class Hello:
    spec = CommandSpec(name="hello", summary="say hello")

    def arguments(self, parser, host):
        parser.add_argument("whom")

    def run(self, options, output, host):
        output.say(f"Hello, {options.whom}!")


@hookimpl
def qcore_commands():
    yield Hello
"""


@pytest.fixture
def qcore_with(tmp_path):
    """Run the command line in a process of its own with plugins from files."""

    def run(files, *arguments, **variables):
        paths = []
        for name, text in files.items():
            paths.append(tmp_path / name)
            if text is not None:
                paths[-1].write_text(text)
        env = {**os.environ, "QCORE_PLUGINS": os.pathsep.join(map(str, paths)), **variables}
        command = [sys.executable, "-m", "qcore", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=env)

    return run


def test_a_file_is_a_plugin(qcore_with):
    done = qcore_with({"mine.py": HELLO}, "hello", "world")
    assert (done.returncode, done.stdout) == (0, "Hello, world!\n")
    listed = qcore_with({"mine.py": HELLO}, "list-plugins", "--kind", "command").stdout
    assert [word for line in listed.splitlines() if " mine " in line for word in line.split()[:5]] == [
        "command",
        "hello",
        "mine",
        "unknown",
        "ok",
    ]


def test_a_file_that_is_broken_or_absent_is_a_row(qcore_with):
    done = qcore_with({"bad.py": "import surely_absent", "gone.py": None, "mine.py": HELLO}, "list-plugins")
    assert done.returncode == 0
    rows = {line.split()[1]: line for line in done.stdout.splitlines() if line.startswith("plugin ")}
    assert "broken" in rows["bad"]
    assert "No module named 'surely_absent'" in rows["bad"]
    assert "no such file" in rows["gone"]
    assert " hello " in done.stdout


def test_without_any_plugin_the_listing_and_the_help_work(qcore_with):
    listed = qcore_with({}, "list-plugins", QCORE_DISABLE_PLUGINS="all", QCORE_PLUGINS="")
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.splitlines()[0].split()[:2] == ["KIND", "NAME"]
    told = qcore_with({}, "--help", QCORE_DISABLE_PLUGINS="all", QCORE_PLUGINS="")
    assert told.returncode == 0
    assert "list-plugins" in told.stdout


def test_a_name_that_no_plugin_has_cannot_be_left_out_in_silence(monkeypatch):
    monkeypatch.setenv("QCORE_DISABLE_PLUGINS", "openvin")
    (row,) = [row for row in Host().rows() if row["status"] == "unknown"]
    assert row["name"] == "openvin"
    assert "did you mean openvino?" in row["hint"]


def test_a_script_registers_a_file(tmp_path):
    (tmp_path / "mine.py").write_text(HELLO)
    host = Host(entry_points=False)
    host.register(tmp_path / "mine.py")
    assert host.get(CommandSpec, "mine:hello").summary == "say hello"
    with pytest.raises(PluginError, match="no such file"):
        host.register(tmp_path / "other.py")


@dataclass(frozen=True)
class Settings:
    """How it runs.

    Attributes:
        threads: CPU threads.
        mode: How numbers are rounded.
    """

    threads: int = 2
    mode: Literal["even", "up"] = "even"


def test_options_are_the_fields_of_a_dataclass():
    given = []

    class Tiny:
        spec = BackendSpec(name="tiny", summary="tiny", accepts=(Form("x"),), options=Settings)

        def compile(self, model, *, options):  # noqa: ARG002
            given.append(options)

    spec = Host(entry_points=False).get(BackendSpec, Tiny())
    assert spec.options == (
        Option("threads", "CPU threads", 2, int),
        Option("mode", "How numbers are rounded", "even", str, ("even", "up")),
    )
    spec.create().compile(None, options=spec.typed(spec.settings({"threads": "4"})))
    assert given == [Settings(threads=4)]
    with pytest.raises(UsageError, match="unknown option thread; did you mean threads"):
        spec.settings({"thread": 1})
    with pytest.raises(UsageError, match="option mode: 'down' is not one of even, up"):
        spec.settings({"mode": "down"})


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": "two words"}, "name has to be a word"),
        ({"summary": "one\ntwo"}, "summary has to be one line"),
        ({"factory": "tiny.backend.Tiny"}, "factory has to be `package.module:Class`"),
        ({"accepts": ("onnx",)}, "accepts has to be a tuple of Forms"),
        ({"requires": "torch"}, "requires has to be a tuple of Requirements"),
        ({"options": ("threads",)}, "'threads' is no Option"),
        ({"options": (Option("a", ""), Option("a", ""))}, "two options have one name"),
    ],
)
def test_a_bad_spec_is_refused_when_it_is_made(fields, told):
    good = {"name": "tiny", "summary": "tiny", "factory": object, "accepts": (Form("x"),)}
    with pytest.raises(PluginError, match="backend") as caught:
        BackendSpec(**{**good, **fields})
    assert told in caught.value.message


def test_a_summary_may_have_percent_signs(qcore_with):
    text = HELLO.replace("say hello", "say hello to 50% of %(prog)s and %(x)d")
    for arguments in (["--help"], ["hello", "--help"]):
        done = qcore_with({"mine.py": text}, *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert "say hello to 50% of %(prog)s and %(x)d" in done.stdout
