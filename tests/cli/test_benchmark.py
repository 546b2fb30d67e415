"""`qcore benchmark` as its users meet it."""

import json

import pytest

import qcore
from qcore_kit import machine
from qcore_plugins.tools.benchmark.command import wishes


@pytest.fixture(scope="module")
def quick():
    """Two rounds of one launch: what is measured is not asserted."""
    return ["--rounds", "2", "--launches", "1"]


def test_files_are_timed_stage_by_stage_and_compared_with_the_first(run, exported, int8, pictures, quick):
    code, out, err = run("benchmark", exported, int8, "--data", pictures / "images", "--limit", 3, "--json", *quick)
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["mode"] == "latency"
    assert document["machine"]["cores"] >= 1
    first, second = document["files"]
    assert (first["executed_precision"], second["executed_precision"]) == ("f32", "int8")
    assert (first["bytes"], second["bytes"]) == (exported.stat().st_size, int8.stat().st_size)
    assert (first["inputs"], first["batch"]) == (3, 1)
    assert first["versions"]["onnxruntime"]
    for one in document["files"]:
        stages = one["ms"]
        assert set(stages) == {"preprocess", "inference", "postprocess", "end to end"}
        assert stages["end to end"]["median"] > stages["inference"]["median"] > 0
        assert stages["inference"]["p10"] <= stages["inference"]["median"] <= stages["inference"]["p90"]
        assert one["load_seconds"] > 0
        assert one["per_second"] == pytest.approx(1000 / stages["inference"]["median"])
    if machine.peak_memory() is not None:
        assert first["peak_bytes"] > exported.stat().st_size
    assert first["speed"] == {}
    assert set(second["speed"]) == set(second["ms"])
    speed = second["speed"]["inference"]
    assert speed["low"] <= speed["ratio"] <= speed["high"]


def test_the_table_says_what_ran_where_and_what_was_made_up(run, exported, quick):
    backends = ["--backend", "onnxruntime", "--backend", "openvino"]
    code, out, err = run("benchmark", exported, exported, *backends, "--threads", 1, *quick)
    assert code == 0
    head, columns, first, second, legend, compared, _ = out.splitlines()
    assert machine.cpu()["model"] in head
    assert "latency, one call after another, 2 rounds in 1 launch;" in head
    assert "onnxruntime 1." in head
    assert "openvino 20" in head
    assert "INFERENCE MS" in columns
    assert first.split()[2:5] == ["onnxruntime", "f32", "1"]
    assert second.split()[2:5] == ["openvino", "f32", "1"]
    assert "median [10th, 90th percentile]" in legend
    assert compared.startswith("file 2, inference: ")
    assert " times as fast as file 1 (95 % interval " in compared
    assert "synthetic" in err
    assert "--data DIR" in err


def test_throughput_runs_several_sessions_at_once(run, exported, quick):
    code, out, err = run("benchmark", exported, "--mode", "throughput", "--requests", 2, "--json", *quick)
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert (document["mode"], document["requests"]) == ("throughput", 2)
    (one,) = document["files"]
    assert set(one["ms"]) == {"inference"}
    assert one["threads"] == max(1, machine.cores() // 2)


def test_a_batch_counts_as_its_inputs(run, checkpoint, tmp_path, quick):
    run("export", checkpoint, "--to", "onnx", "--batch", "4", "-o", tmp_path)
    _, out, _ = run("benchmark", tmp_path / f"{checkpoint.stem}.onnx", "--json", *quick)
    (one,) = json.loads(out)["files"]
    assert one["batch"] == 4
    assert one["per_second"] == pytest.approx(4000 / one["ms"]["inference"]["median"])


def test_sessions_share_the_cores_and_the_precision_is_pinned():
    assert wishes("f32", None, None) == {"precision": "f32"}
    assert wishes("auto", 3, 2) == {"precision": "auto", "threads": 3}
    assert wishes("f32", None, machine.cores() * 2)["threads"] == 1


def test_openvino_sessions_that_share_the_cores_are_not_pinned_to_the_same_ones(exported):
    session = qcore.recipe(exported).with_backend("openvino", threads=1).start().predictor().session
    compiled = session._request.get_compiled_model()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("ENABLE_CPU_PINNING") is False


@pytest.mark.parametrize(
    ("arguments", "code", "message", "hint"),
    [
        (["absent.onnx"], 6, "absent.onnx: no such file", "looked for /"),
        (["{one}", "--backend", "openvino", "--backend", "onnxruntime"], 2, "2 backends for 1 files", "one for each"),
        (["{one}", "--requests", "2"], 2, "--requests needs --mode throughput", "one call after another"),
        (["{one}", "--threads", "0"], 2, "--threads 0 is not a positive number", ""),
        (["{one}", "--rounds", "1"], 2, "1 round in 5 launches: at least 2", "--rounds 30"),
        (["{one}", "--backend", "openvivo"], 2, "openvivo", "openvino"),
    ],
)
def test_mistakes_are_told(run, exported, arguments, code, message, hint):
    got, out, err = run("benchmark", *(word.format(one=exported) for word in arguments))
    assert (got, out) == (code, "")
    assert message in err
    assert hint in err
    assert "Traceback" not in err
