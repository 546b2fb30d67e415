"""What the documentation shows, runs."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import qcore
from qcore.cli import main
from qcore.plugin import Contract, Form, Model, Silent

ROOT = Path(__file__).resolve().parents[2]
KINDS = {kind.kind: kind for kind in qcore.plugins.kinds()}


def code(text):
    return re.findall(r"```python\n(.*?)```", inspect.cleandoc(text), re.DOTALL)


@pytest.fixture
def example(monkeypatch):
    """The plugin in the docstring of a kind's spec class, registered alone: its spec, and the host."""

    def register(kind):
        (text,) = code(KINDS[kind].__doc__)
        module = ModuleType("example")
        monkeypatch.setitem(sys.modules, "example", module)
        exec(compile(text, kind, "exec"), vars(module))
        host = qcore.Host(entry_points=False)
        host.register(module)
        assert [plugin.status for plugin in host.plugins()] == ["ok"]
        (spec,) = host.components()
        assert spec.kind == kind
        return spec, host

    return register


@pytest.mark.parametrize("kind", KINDS)
def test_the_docstring_of_each_kind_is_a_plugin(example, kind):
    spec, host = example(kind)
    assert host.get(KINDS[kind], spec.name) is spec


def text_model(words="ab abc"):
    return Model(Form("text", encoding="float"), words, contract=None)


def test_their_components_do_what_they_say(example, tmp_path, capsys):
    create = {kind: example(kind)[0].create for kind in KINDS if kind not in ("preprocessor", "postprocessor")}
    loader = create["loader"]()
    assert loader.matches({"mynet": 1}) == "MyNet"
    assert loader.load({"mynet": [1, 2, 3]}, options={"words": 2}).module == [1, 2]
    numbers = Model(Form("text", encoding="float"), [1.0, 2.0], contract=None)
    quantized = create["quantizer"]().quantize(numbers, calibration=[{"x": [127.0]}], options={}, progress=Silent())
    assert quantized.module == [1, 2]
    assert create["converter"]().convert(text_model(), options={}, progress=Silent()).module == "AB ABC"
    assert create["backend"]().compile(Model(Form("tiny"), 3, contract=None), options={}).run({"x": 2}) == {"y": 6}
    written = create["format"]().write(text_model(), tmp_path / "a.tiny")
    assert create["format"]().sniff(written[0])
    assert create["format"]().open(written[0]) == "ab abc"
    tally = create["evaluator"]().open(None, {1: False, 2: True, 3: False}, options={}, progress=Silent())
    for place, item in enumerate(tally.items):
        tally.add(place, item, item > 1)
    assert tally.figures() == {"accuracy": 2 / 3}
    rows = create["analyzer"]().analyze(text_model(), calibration=None, options={}, progress=Silent())
    assert [row["layer"] for row in rows] == ["abc", "ab"]
    assert create["probe"]().open(text_model()).run({"x": 2}, ["abc"]) == {"abc": 6}
    (rule,) = create["linter"]().rules()
    assert list(rule.check(SimpleNamespace(path=written[0]))) == []
    create["reporter"]().write(SimpleNamespace(title="a", verdict="pass", summary="b"), tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "a: pass. b"
    assert create["profile"]().profile.name == "tiny"
    observer = create["observer"]()
    observer.begin({"log": tmp_path / "log"}, qcore.plugins)
    assert observer.finished(SimpleNamespace(title="a", verdict="pass")) == [tmp_path / "log"]
    assert (tmp_path / "log").read_text() == "a pass\n"
    run = SimpleNamespace(recipe=qcore.recipe("a").with_quantizer("q", calibration=()), vary=lambda recipe: recipe)
    run.model = lambda _: SimpleNamespace(layers=({"layer": "one"}, {"layer": "two"}))
    tuned = create["tuner"]().tune(run, None, None, options={"spare": 1}, folder=tmp_path, output=None)
    assert (tuned.left_float, tuned.run.quantizing.options) == (("one",), {"exclude": ("one",)})
    create["result"]().draw(None, 2.5, tmp_path / "depth.txt")
    assert create["result"]().records(2.5) == [{"depth": 2.5}]
    assert (tmp_path / "depth.txt").read_text() == "2.5 m"


def test_the_processing_of_the_docstrings(example, tmp_path):
    (tmp_path / "a.csv").write_text("1 2\n3 4\n")
    columns = example("preprocessor")[0].create({"scale": 2.0}, (SimpleNamespace(name="x"),))
    prepared = columns.prepare(columns.read(tmp_path / "a.csv"))
    assert (prepared.arrays["x"].tolist(), prepared.context) == ([[[2.0, 4.0], [6.0, 8.0]]], 2)
    largest = example("postprocessor")[0].create({}, (SimpleNamespace(name="y"),), ("cat", "dog"))
    assert largest({"y": np.array([[0.1, 0.9]])}, [None]) == ["dog"]


def test_the_command_of_the_docstring(example, monkeypatch, capsys):
    monkeypatch.setattr(qcore, "plugins", example("command")[1])
    assert main(["greet", "world"]) == 0
    assert capsys.readouterr().out == "Hello, world: 1 plugins are here.\n"


def test_the_hooks_page_names_every_hook():
    page = (ROOT / "docs" / "hooks.md").read_text()
    assert [kind for kind in KINDS if f"`qcore_{kind}s`" not in page] == []


def test_the_plugins_of_the_hooks_page_are_some(monkeypatch):
    examples = code((ROOT / "docs" / "hooks.md").read_text())
    assert len(examples) == 2
    for number, text in enumerate(examples):
        module = ModuleType(f"page{number}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(text, "hooks.md", "exec"), vars(module))
        host = qcore.Host(entry_points=False)
        host.register(module)
        assert len(host.components()) == 1


def test_own_loader_and_backend_with_a_bundled_quantizer():
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "examples" / "own_parts.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "20 of 20 squares found in qdq" in done.stdout


def test_the_contract_in_the_docs_is_one():
    (text,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "contract.md").read_text(), re.DOTALL)
    contract = Contract.from_json(text)
    assert contract.to_dict() == json.loads(text)
    assert {"inputs", "outputs", "preprocess", "postprocess", "classes", "provenance", "extensions"} <= set(
        json.loads(text)
    )


def run_example(name):
    import runpy

    return runpy.run_path(str(ROOT / "docs" / "examples" / f"{name}.py"))["main"]


@pytest.mark.filterwarnings("ignore")
def test_every_combination_of_a_checkpoint(checkpoint, pictures, tmp_path, monkeypatch, capsys):
    """On two quantizers and two runtimes: the others take as many minutes as they do elsewhere."""
    text = (ROOT / "docs" / "examples" / "every_combination.py").read_text()
    assert len(text.splitlines()) < 40
    kept = {"quantizer": ("onnxruntime", "nncf"), "backend": ("onnxruntime", "openvino")}
    every = qcore.plugins.specs
    monkeypatch.setattr(
        qcore.plugins, "specs", lambda kind: [s for s in every(kind) if s.name in kept.get(kind.kind, (s.name,))]
    )
    rows = run_example("every_combination")(checkpoint, pictures / "images", pictures / "instances.json", tmp_path)
    made = {(quantizer, backend) for _, quantizer, backend, *_ in rows}
    assert made == {("onnxruntime", "onnxruntime"), ("onnxruntime", "openvino"), ("nncf", "openvino")}
    assert all(row[0] > 0.3 for row in rows)
    assert Path(rows[0][-1]).name in {path.name for path in (tmp_path / "best").iterdir()}
    assert "nncf                   onnxruntime  no conversion route from torch" in capsys.readouterr().out


def test_the_step_that_fails_is_read_from_the_result(exported, int8, pictures, tmp_path):
    import onnx

    where = run_example("where_it_differs")
    assert where(exported, exported, pictures / "images") is None
    model = onnx.load(str(int8))
    scale = next(tensor for tensor in model.graph.initializer if tensor.name.endswith("weight_scale"))
    scale.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(scale) * 30, scale.name))
    onnx.save(model, str(tmp_path / "wrong.onnx"))
    assert where(exported, tmp_path / "wrong.onnx", pictures / "images") == "raw tensors"


def test_a_recipe_gives_the_same_bytes_again(checkpoint, pictures, tmp_path):
    one, two = run_example("recipe_again")(checkpoint, pictures / "images", tmp_path)
    assert one == two
