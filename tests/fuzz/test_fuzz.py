"""Damaged files end in one line that says what is wrong, and nothing in them is run.

`make fuzz` does the same for longer; docs/fuzz.md has its table.
"""

import sys
from pathlib import Path

import pytest

from qcore.cli import main

sys.path.insert(0, str(Path(__file__).parent))

import fuzzed
import harness

NAMES = (
    "contract in ONNX", "ONNX bytes", "ONNX fields", "scale table", "OpenVINO xml", "OpenVINO bin", "checkpoint bytes",
    "checkpoint pickle", "data.yaml", "label file", "COCO json", "recipe", "picture",
)  # fmt: skip
CASES = 80


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "work").mkdir()
    return folder


@pytest.fixture(scope="module")
def kinds(folder, checkpoint, pictures):
    import qcore

    exported = qcore.recipe(checkpoint, imgsz=96).start().save(folder / "float", to="onnx")
    call = ["quantize", exported, "--calib", pictures / "images", "--quantizer", "onnxruntime", "--quiet"]
    assert main([*map(str, call), "--backend", "onnxruntime", "-o", str(folder / "int8")]) == 0
    int8, canary = folder / "int8" / exported.name, folder / "executed"
    found = fuzzed.kinds(folder / "work", checkpoint, exported, int8, pictures, canary)
    fuzzed.prepare(found, folder / "work")
    return {kind.name: kind for kind in found}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_refused_in_one_line(kinds, folder, name):
    counts, faults = harness.tried(kinds[name], fuzzed.cases(kinds[name], CASES))
    assert faults == {}
    assert counts["read"] + counts["refused"] == CASES
    assert counts["refused"] > CASES / 10
    assert not (folder / "executed").exists()


def test_every_kind_is_tried(kinds):
    assert sorted(kinds) == sorted(NAMES)


def test_a_fault_is_found(kinds, monkeypatch):
    """The harness itself: a traceback, Python's words, and a message without end."""
    from qcore.plugin import FileError

    kind = kinds["recipe"]
    said = iter((TypeError("planted"), FileError("'NoneType' object is not iterable"), FileError("x" * 400)))

    def failing(_):
        error = next(said)
        if isinstance(error, FileError):
            from qcore.cli.console import Output

            Output().error(error)
            return 6
        raise error

    monkeypatch.setattr(harness, "main", failing)
    counts, faults = harness.tried(kind, [(b"", kind.commands[0])] * 3)
    assert (counts["traceback"], counts["internals"], counts["long"]) == (1, 1, 1)
    assert len(faults) == 3
