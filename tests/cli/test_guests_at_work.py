"""Plugins that mean no harm: what they print, how they call their options, and what fails of them."""

import json
import subprocess
import sys

import pytest

PRINTS = """
import os

print("printed while it is imported")
os.write(1, b"written by a library\\n")

from qcore.plugin import CommandSpec, Form, LoaderSpec, hookimpl


class Loader:
    def matches(self, content):
        print("printed by a method")
        return None

    def load(self, content, *, options): ...


@hookimpl
def qcore_loaders():
    print("printed by a hook")
    yield LoaderSpec(name="loud", summary="Loud", factory=Loader, format="checkpoint", produces=Form("torch"))
"""
OPTIONS = """
from qcore.plugin import ConverterSpec, Form, Option, hookimpl


class Converter:
    def convert(self, model, *, options, progress):
        return model


@hookimpl
def qcore_converters():
    yield ConverterSpec(
        name="guest",
        summary="100% of %(it)s",
        factory=Converter,
        accepts=(Form("guest"),),
        produces=Form("onnx"),
        options=(
            Option("workspace", "as text, 50% of it", "all", str, ("all", "none")),
            Option("json", "a word of its own", "x"),
            Option("out", "another", "x"),
        ),
    )
"""


@pytest.fixture
def qcore_with(tmp_path):
    """Runs the command line in a process of its own, with a plugin in a file."""

    def run(text, *arguments):
        (tmp_path / "guest.py").write_text(text)
        return subprocess.run(
            [sys.executable, "-m", "qcore", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "", "PYTHONPATH": ":".join(sys.path), "QCORE_PLUGINS": str(tmp_path / "guest.py")},
        )

    return run


@pytest.mark.parametrize("command", [("list-plugins",), ("inspect", "{checkpoint}")])
def test_what_a_plugin_prints_does_not_spoil_the_document(qcore_with, checkpoint, command):
    ran = qcore_with(PRINTS, *(word.format(checkpoint=checkpoint) for word in command), "--json")
    assert json.loads(ran.stdout)
    assert "printed while it is imported" in ran.stderr
    assert "written by a library" in ran.stderr
    assert "printed by a hook" in ran.stderr


def test_an_error_is_one_document_too(qcore_with, tmp_path):
    ran = qcore_with(PRINTS, "inspect", tmp_path / "missing.pt", "--json")
    assert json.loads(ran.stdout)["code"] == ran.returncode == 6


@pytest.mark.parametrize("command", ["export", "quantize", "predict", "eval"])
def test_options_called_like_flags_have_longer_ones(qcore_with, command):
    ran = qcore_with(OPTIONS, command, "--help")
    assert ran.returncode == 0, ran.stderr
    assert "--guest.json" in ran.stdout
    assert "--guest.workspace" in ran.stdout
    assert "print one JSON document" in ran.stdout


def test_a_summary_with_percent_is_shown(qcore_with):
    ran = qcore_with(OPTIONS.replace("ConverterSpec", "CommandSpec").split("@hookimpl")[0].replace("Converter:", "Cmd:")
        + "    def arguments(self, parser, host): ...\n    def run(self, options, output, host): ...\n\n\n"
        + "@hookimpl\ndef qcore_commands():\n    yield CommandSpec(name='whole', summary='100% of %(it)s', factory=Cmd)\n",
        "--help")  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "100% of %(it)s" in ran.stdout
