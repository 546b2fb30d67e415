"""Each tool is a plugin like anybody's: without it the rest works."""

import json

import pytest

import qcore
from qcore.cli import main
from qcore.plugin import Host

TOOLS = {
    "benchmark": "benchmark",
    "check": "check",
    "compare": "compare",
    "demo": "demo",
    "doctor": "doctor",
    "new_plugin": "new-plugin",
    "report": None,
    "sensitivity": "sensitivity",
    "snippet": "snippet",
    "verify": None,
}
"""Plugin of a tool -> the command that goes with it."""
WITH = {"new_plugin": {"check-plugin"}}
"""Further commands of a tool."""
EVERYDAY = (
    *(
        "completion",
        "contract",
        "eval",
        "export",
        "inspect",
        "list-plugins",
        "plan",
        "predict",
        "quantize",
        "recipe",
        "run",
    ),
)


@pytest.fixture
def without(monkeypatch, capsys):
    """Disable one plugin; gives a function that runs the command line and returns what it prints."""

    def disable(plugin):
        monkeypatch.setenv("QCORE_DISABLE_PLUGINS", plugin)
        monkeypatch.setattr(qcore, "plugins", Host())

        def run(*arguments, code=0):
            done = main([str(argument) for argument in arguments])
            captured = capsys.readouterr()
            assert done == code, f"{arguments}: {captured.err}"
            return captured.out if code == 0 else captured.err

        return run

    return disable


def test_these_are_all_tools():
    from importlib.metadata import entry_points

    bundled = {one.name for one in entry_points(group="qcore") if one.value.startswith("qcore_plugins.tools.")}
    assert bundled == set(TOOLS)


@pytest.mark.parametrize("plugin", TOOLS)
def test_without_one_the_others_work(without, plugin, exported, pictures, tmp_path):
    run = without(plugin)
    lines = run("--help").splitlines()
    shown = {line.split()[0] for line in lines if line.startswith("    ") and line[4] != " "}
    further = {name for other, names in WITH.items() if other != plugin for name in names}
    assert shown == {*EVERYDAY, *further, *filter(None, TOOLS.values())} - {TOOLS[plugin]}
    images, labels, file = pictures / "images", pictures / "instances.json", tmp_path / "shapes.onnx"
    run("quantize", exported, "--calib", images, "--quantizer", "onnxruntime", "--backend", "onnxruntime",
        "--calib-limit", 2, "-o", tmp_path)  # fmt: skip
    (result,) = json.loads(run("predict", file, images / "0000.png", "--json"))
    assert result["results"]
    assert json.loads(run("eval", file, "--data", labels, "--json"))["AP"] > 0.3
    if plugin != "check":
        assert json.loads(run("check", file, "--target", "onnxruntime", "--json"))
    if plugin != "snippet":
        assert "onnxruntime" in run("snippet", exported)
    if plugin != "report":
        run("eval", file, "--data", labels, "--report", tmp_path / "page")
        assert (tmp_path / "page" / "report.html").exists()


@pytest.mark.parametrize("plugin", [plugin for plugin in TOOLS if TOOLS[plugin]])
def test_its_command_says_where_to_look(without, plugin):
    said = without(plugin)(TOOLS[plugin], "file", code=2)
    assert f"there is no command {TOOLS[plugin]}" in said
    assert "qcore list-plugins what is disabled or broken" in said


def test_a_report_that_nobody_writes_is_refused_first(without, exported, pictures):
    said = without("report")("eval", exported, "--data", pictures / "instances.json", "--report", "page", code=2)
    assert "list-plugins" in said
