# ruff: noqa: ARG002, ARG005 - methods have the arguments that the interface says
"""Whatever breaks inside a plugin is told with its name: one faulty component for each place where it can."""

import numpy as np
import pytest

import qcore
from qcore import FileError, Host, PluginError
from qcore.cli import main
from qcore.plugin import (
    BackendSpec,
    CommandSpec,
    Contract,
    ConverterSpec,
    EvaluatorSpec,
    Form,
    FormatSpec,
    LoaderSpec,
    Model,
    PostprocessorSpec,
    Prepared,
    PreprocessorSpec,
    QuantizerSpec,
    Step,
    Tensor,
    hookimpl,
)

CONTRACT = Contract(
    task="numbers",
    inputs=(Tensor("x", "float32", ("batch", 2)),),
    outputs=(Tensor("y", "float32", ("batch", 2)),),
    preprocess=Step("numbers"),
    postprocess=Step("numbers"),
)


class Session:
    executed_precision = "f32"

    def run(self, inputs):
        return {"y": inputs["x"] * 2}


class Format:
    def sniff(self, path):
        return path.suffix == ".num"

    def open(self, path):
        return path.read_text()

    def contract(self, content):
        return None

    def form(self, content):
        return Form("numbers", encoding="float")

    def signature(self, content):
        return CONTRACT.inputs, CONTRACT.outputs

    def write(self, model, path):
        path.write_text("num")
        return [path]


class Loader:
    def matches(self, content):
        return "numbers"

    def load(self, content, *, options):
        return Model(Form("numbers", encoding="float"), content, CONTRACT)


class Converter:
    verifies = True

    def convert(self, model, *, options, progress):
        return model.evolve(form=Form("onnx", encoding="float"))


class Quantizer:
    def quantize(self, model, *, calibration, options, progress):
        return model.evolve(form=Form("numbers", encoding="native"))


class Backend:
    def compile(self, model, *, options):
        return Session()


class Preprocessor:
    def __init__(self, params, inputs):
        pass

    def expand(self, source):
        return [source]

    def read(self, item):
        return np.zeros(2, np.float32)

    def prepare(self, raw):
        return Prepared({"x": raw[None]})


class Postprocessor:
    def __init__(self, params, outputs, classes):
        pass

    def __call__(self, outputs, contexts):
        return [row.tolist() for row in outputs["y"]]


class Tally:
    items = ()

    def add(self, place, raw, result):
        pass

    def figures(self):
        return {"sum": 0.0}


class Evaluator:
    figure = "sum"

    def open(self, contract, data, *, options, progress):
        return Tally()


class Command:
    def arguments(self, parser, host):
        pass

    def run(self, options, output, host):
        return 0


PARTS = {
    "format": (FormatSpec, Format, {"suffix": ".num"}),
    "loader": (LoaderSpec, Loader, {"format": "numbers", "produces": Form("numbers", encoding="float")}),
    "converter": (ConverterSpec, Converter, {"accepts": (Form("numbers"),), "produces": Form("onnx")}),
    "quantizer": (
        QuantizerSpec,
        Quantizer,
        {"accepts": (Form("numbers", encoding="float"),), "produces": Form("numbers", encoding="native")},
    ),
    "backend": (BackendSpec, Backend, {"accepts": (Form("numbers"),)}),
    "preprocessor": (PreprocessorSpec, Preprocessor, {}),
    "postprocessor": (PostprocessorSpec, Postprocessor, {}),
    "evaluator": (EvaluatorSpec, Evaluator, {"task": "numbers"}),
    "command": (CommandSpec, Command, {}),
}


@pytest.fixture
def host_with(monkeypatch):
    """The whole host with a plugin of numbers, in which one method of one component does something else."""

    def make(kind=None, method=None, instead=None):
        class Numbers:
            pass

        for own, (spec, part, fields) in PARTS.items():
            factory = part if own != kind else type(part.__name__, (part,), {method: instead})

            def hook(self, spec=spec, factory=factory, fields=fields):
                yield spec(name="numbers", summary="numbers", factory=factory, **fields)

            setattr(Numbers, f"qcore_{own}s", hookimpl(hook))
        host = Host()
        host.register(Numbers(), "faulty")
        monkeypatch.setattr(qcore, "plugins", host)
        return host

    return make


def fails(self, *args, **more):
    raise KeyError("nobody expects this")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.num"
    path.write_text("numbers")
    return path


PREDICT, EVAL = ("predict", "{file}", "{file}"), ("eval", "{file}", "--data", "{file}")
QUANTIZE = (
    "quantize",
    "{file}",
    "--calib",
    "{file}",
    "--quantizer",
    "numbers",
    "--backend",
    "numbers",
    "-o",
    "{file}.out",
)
CASES = {
    "sniff": ("format", "sniff", PREDICT),
    "open": ("format", "open", PREDICT),
    "write": ("format", "write", ("export", "{file}", "--to", "numbers", "-o", "{file}.out")),
    "matches": ("loader", "matches", PREDICT),
    "load": ("loader", "load", PREDICT),
    "convert": ("converter", "convert", ("export", "{file}", "--to", "onnx", "-o", "{file}.out")),
    "quantize": ("quantizer", "quantize", QUANTIZE),
    "compile": ("backend", "compile", PREDICT),
    "made": ("preprocessor", "__init__", PREDICT),
    "expand": ("preprocessor", "expand", PREDICT),
    "read": ("preprocessor", "read", PREDICT),
    "prepare": ("preprocessor", "prepare", PREDICT),
    "postprocess": ("postprocessor", "__call__", PREDICT),
    "evaluate": ("evaluator", "open", EVAL),
    "arguments": ("command", "arguments", ("numbers",)),
    "run": ("command", "run", ("numbers",)),
}


def test_without_a_fault_everything_runs(host_with, file, capsys):
    host_with()
    assert main(["predict", str(file), str(file)]) == 0
    assert "result=0.0000" in capsys.readouterr().out
    assert main(["numbers"]) == 0


READING = {"open", "load"}
"""What reads files from outside: where it breaks, the file is to blame as far as anybody can tell."""


@pytest.mark.parametrize("case", sorted(READING))
def test_a_plugin_that_breaks_on_a_file_says_that_the_file_is_bad(host_with, file, capsys, case):
    kind, method, command = CASES[case]
    host_with(kind, method, fails)
    arguments = [part.format(file=file) for part in command]
    assert main(arguments) == 6
    err = capsys.readouterr().err
    assert f"{file}: {kind} numbers of plugin faulty cannot read it: damaged, or of a kind it does not know" in err
    with pytest.raises(FileError) as caught:
        main([*arguments, "--debug"])
    assert isinstance(caught.value.__cause__.__cause__, KeyError)


@pytest.mark.parametrize("case", sorted(set(CASES) - READING))
def test_a_failing_method_is_told_with_component_and_plugin(host_with, file, capsys, case):
    kind, method, command = CASES[case]
    host_with(kind, method, fails)
    arguments = [part.format(file=file) for part in command]
    assert main(arguments) == 5
    err = capsys.readouterr().err
    assert f"{kind} numbers of plugin faulty failed in " in err
    assert "KeyError: 'nobody expects this'" in err
    with pytest.raises(PluginError) as caught:
        main([*arguments, "--debug"])
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_failing_tally_is_told_like_its_evaluator(host_with, file, capsys):
    host_with("evaluator", "open", lambda self, contract, data, **_: type("Bad", (Tally,), {"figures": fails})())
    assert main([part.format(file=file) for part in EVAL]) == 5
    assert "evaluator numbers of plugin faulty failed in figures (KeyError" in capsys.readouterr().err


def session_giving(outputs):
    return lambda self, model, *, options: type("Other", (Session,), {"run": lambda self, inputs: outputs})()


@pytest.mark.parametrize(
    ("kind", "method", "instead", "told"),
    [
        ("loader", "load", lambda self, content, *, options: content, "loader numbers of plugin faulty gave a str"),
        (
            "loader",
            "load",
            lambda self, content, *, options: Model(Form("torch"), content, CONTRACT),
            "gave a model of the form torch, declared is numbers",
        ),
        (
            "backend",
            "compile",
            session_giving({"z": np.zeros((1, 2), np.float32)}),
            "the contract says output y, what came is z",
        ),
        (
            "backend",
            "compile",
            session_giving({"y": np.zeros((2,), np.float32)}),
            "output y has shape [2], the contract says",
        ),
        (
            "backend",
            "compile",
            session_giving({"y": np.zeros((1, 3), np.float32)}),
            "output y has shape [1, 3], the contract says",
        ),
        (
            "backend",
            "compile",
            session_giving({"y": np.zeros((1, 2))}),
            "output y is float64, the contract says float32",
        ),
        (
            "backend",
            "compile",
            session_giving({"y": np.full((1, 2), np.nan, np.float32)}),
            "output y holds 2 values that are no numbers, on numbers",
        ),
        ("postprocessor", "__call__", lambda self, outputs, contexts: [], "gives 0 results for 1 inputs"),
    ],
)
def test_what_comes_is_held_against_what_was_declared(host_with, file, capsys, kind, method, instead, told):
    host_with(kind, method, instead)
    assert main(["predict", str(file), str(file)]) == 5
    assert told in capsys.readouterr().err


def test_an_error_that_is_meant_passes(host_with, file, capsys):
    def refuses(self, content, *, options):
        raise qcore.FileError("numbers are odd", hint="make them even")

    host_with("loader", "load", refuses)
    assert main(["predict", str(file), str(file)]) == 6
    assert "numbers are odd" in capsys.readouterr().err
