"""`qcore check` as its users meet it."""

import json

import onnx
import pytest

import qcore
from qcore.plugin import PluginError, Requirement, hookimpl
from qcore_kit.checks import Finding
from qcore_kit.kinds import LinterSpec
from qcore_plugins.tools.check import checking


@pytest.fixture
def broken(int8, tmp_path):
    """The quantized detector with every scale zero, so that there are many findings of one rule."""
    model = onnx.load(int8)
    for tensor in model.graph.initializer:
        if tensor.name.endswith("_scale") and tensor.dims == []:
            tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * 0, tensor.name))
    path = tmp_path / "broken.onnx"
    onnx.save(model, path)
    return path


def test_a_good_file_passes(run, int8):
    code, out, err = run("check", int8, "--target", "onnxruntime")
    assert (code, err) == (0, "")
    assert "0 errors, 0 warnings" in out.splitlines()[-1]


def test_an_error_is_exit_code_1_and_comes_first_and_is_folded(run, broken):
    code, out, _ = run("check", broken, "--target", "onnxruntime")
    lines = out.splitlines()
    assert code == 1
    assert lines[0] == "error QDQ002"
    assert any(line.strip().startswith("... and ") for line in lines)
    assert sum("scale 0" in line for line in lines) == 3
    assert lines[-1].startswith(f"{broken} on onnxruntime: ")
    assert [line for line in lines if line.startswith("    hint: qcore ")]


def test_json_has_every_finding(run, broken):
    code, out, _ = run("check", broken, "--target", "onnxruntime", "--json")
    document = json.loads(out)
    assert code == 1
    assert (document["format"], document["target"]) == ("onnx", "onnxruntime")
    assert document["counts"]["error"] == sum(one["severity"] == "error" for one in document["findings"]) > 20
    assert set(document["findings"][0]) == {"rule", "severity", "where", "message", "why", "hint"}
    assert "QDQ002" in document["rules"]


@pytest.mark.parametrize(
    ("flags", "asked"),
    [
        (["--select", "QDQ002"], {"QDQ002"}),
        (["--select", "ORT,QDQ002"], {*(f"ORT00{number}" for number in range(1, 9)), "QDQ002"}),
        (["--select", "ORT", "--ignore", "ORT001,ORT002"], {f"ORT00{number}" for number in range(3, 9)}),
        (["--select", "ORT001", "--ignore", "ORT"], {"ORT001"}),
    ],
)
def test_rules_are_selected_by_prefix_and_the_longer_one_decides(run, broken, flags, asked):
    _, out, _ = run("check", broken, "--target", "onnxruntime", "--json", *flags)
    assert set(json.loads(out)["rules"]) == asked


def test_an_error_that_is_ignored_is_none(run, broken):
    code, out, _ = run("check", broken, "--target", "onnxruntime", "--ignore", "QDQ", "--json")
    assert code == 0
    assert not {rule for rule in json.loads(out)["rules"] if rule.startswith("QDQ")}


def test_explain_prints_the_page_of_the_documentation(run):
    code, out, _ = run("check", "--explain", "QDQ012")
    assert code == 0
    assert out.startswith("# QDQ012\n")
    assert "Why: " in out
    assert "Fix: " in out
    assert json.loads(run("check", "--explain", "QDQ012", "--json")[1])["page"].strip() == out.strip()


@pytest.mark.parametrize(
    ("arguments", "code", "message", "hint"),
    [
        ([], 2, "give a file", "qcore check --help"),
        (["{exported}"], 2, "does not say which runtime it is for", "--target: onnxruntime, openvino, tensorrt"),
        (["{int8}", "--target", "openvivo"], 2, "did you mean openvino?", "onnxruntime, openvino, tensorrt"),
        (["{int8}", "--target", "openvino", "--select", "QDQ102"], 2, "did you mean QDQ", "QDQ001"),
        (["{int8}", "--target", "openvino", "--ignore", "qdq"], 2, "unknown rule 'qdq'", "QDQ001"),
        (["--explain", "TRT0"], 2, "unknown rule 'TRT0'", "TRT001"),
        (["absent.onnx", "--target", "openvino"], 6, "absent.onnx: no such file", ""),
        (["{checkpoint}", "--target", "openvino"], 2, "cannot check checkpoint files for openvino", "qcore export"),
    ],
)
def test_mistakes_are_told(run, exported, int8, checkpoint, arguments, code, message, hint):
    given = [word.format(exported=exported, int8=int8, checkpoint=checkpoint) for word in arguments]
    got, out, err = run("check", *given)
    assert (got, out) == (code, "")
    assert message in err
    assert hint in err
    assert "Traceback" not in err


def test_a_file_is_checked_for_the_runtime_that_it_was_written_for(run, int8):
    assert json.loads(run("check", int8, "--json")[1])["target"] == "onnxruntime"


def test_inputs_tell_what_saturation_costs_on_a_cpu_without_vnni(run, int8, pictures):
    """Shapes on a dark ground: the sums of this detector survive, and that is measured."""
    call = ["check", int8, "--target", "onnxruntime", "--select", "QDQ006", "--data", pictures / "images"]
    code, out, _ = run(*call, "--cpu", "avx2", "--json")
    document = json.loads(out)
    assert document["cpu"] == "avx2"
    assert code == (1 if document["counts"]["error"] else 0)
    assert "layers can saturate; on 8 inputs" in document["findings"][-1]["message"]
    assert json.loads(run(*call, "--cpu", "vnni", "--json")[1])["findings"] == []


def test_data_needs_a_contract_to_be_read_by(run, broken, pictures):
    code, _, err = run("check", broken, "--target", "onnxruntime", "--data", pictures / "none")
    assert code == 6
    assert "none" in err


class Fails:
    """Fails.

    Why: for a test.

    Fix: not.
    """

    id, severity, targets, summary = "BAD001", "error", (), "Fails"

    def check(self, _):
        raise ValueError("of no use")


class Broken:
    def rules(self):
        return [Fails()]


def linter(**settings):
    return LinterSpec(name="other", summary="Another judge", factory=Broken, targets=("tiny",), **settings)


@pytest.fixture
def host():
    """The bundled plugins and a linter of a test's own."""

    def add(spec):
        class Plugin:
            @staticmethod
            @hookimpl
            def qcore_linters():
                yield spec

        made = qcore.Host()
        made.register(Plugin)
        return made

    return add


def test_a_rule_that_fails_is_named(int8, host):
    with pytest.raises(PluginError, match=r"rule BAD001 failed on .*ValueError: of no use") as caught:
        checking.check(int8, "tiny", plugins=host(linter(format="onnx")))
    assert "--ignore BAD001" in caught.value.hint
    assert checking.check(int8, "tiny", plugins=host(linter()), ignore=["BAD"]).asked


def test_a_linter_that_is_not_installed_is_said_and_the_others_judge(int8, host):
    absent = Requirement("absent_runtime", "absent-runtime", ">=2")
    report = checking.check(int8, "tiny", plugins=host(linter(requires=(absent,))))
    (finding,) = [one for one in report.findings if one.rule == "other"]
    assert finding.severity == "info"
    assert "not judged, absent-runtime is not installed" in finding.message
    assert finding.hint == "pip install 'absent-runtime>=2'"


def test_findings_are_plain_data():
    assert Finding("A1", "info", "", "said") == Finding("A1", "info", "", "said")
