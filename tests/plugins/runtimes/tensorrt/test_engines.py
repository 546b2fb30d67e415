"""Engines, built ahead of time without a GPU by tensorrt-rtx, for a GPU of compute capability 8.9."""

import hashlib
import importlib.util
import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import qcore
from qcore.plugin import FileError, MissingDevice, QcoreError, Silent, UsageError
from qcore_plugins.runtimes.tensorrt.building import run
from qcore_plugins.runtimes.tensorrt.child import Request
from qcore_plugins.runtimes.tensorrt.packages import choose

pytestmark = pytest.mark.skipif(
    not (importlib.util.find_spec("tensorrt_rtx") or importlib.util.find_spec("tensorrt")),
    reason="needs tensorrt or tensorrt-rtx",
)
ADA = ("8.9",)


def engine(run, **options):
    return run.vary(run.recipe.with_conversion(compute_capability=ADA, **options)).model("tensorrt")


def request(**options):
    return Request(package="tensorrt_rtx", onnx="", compute_capability=list(ADA), **options)


def around(scale, nodes=(), *, point=0, kind=np.int8):
    """Q/DQ and a convolution; `scale` is a constant, or computed by the nodes where it is None."""
    constants = {"point": np.array(point, kind), "most": np.array(127, np.float32)}
    constants |= {"w": np.ones((8, 8, 3, 3), np.int8), "ws": np.full(8, 0.1, np.float32), "wz": np.zeros(8, np.int8)}
    constants |= {} if scale is None else {"scale": np.array(scale, np.float32)}
    shape = [1, 8, 16, 16]
    made = helper.make_graph(
        [
            *nodes,
            helper.make_node("QuantizeLinear", ["x", "scale", "point"], ["q"], "quantize"),
            helper.make_node("DequantizeLinear", ["q", "scale", "point"], ["d"], "dequantize"),
            helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], "weights", axis=0),
            helper.make_node("Conv", ["d", "wd"], ["y"], "conv", pads=[1, 1, 1, 1]),
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.fixture(scope="module")
def built(exported, tmp_path_factory):
    """The detector that ships with qcore as an engine in float32."""
    made = qcore.recipe(exported).with_conversion(compute_capability=ADA)
    return made.start().save(tmp_path_factory.mktemp("engine"), to="tensorrt")


def test_an_engine_is_a_plain_plan_with_its_contract_beside_it(built, exported):
    said = json.loads(built.with_name(built.name + ".qcore.json").read_text())
    assert built.read_bytes()[:4] in (b"ftrt", b"vtrt")
    assert said["engine"]["sha256"] == hashlib.sha256(built.read_bytes()).hexdigest()
    assert said["engine"]["onnx_sha256"] == hashlib.sha256(exported.read_bytes()).hexdigest()
    assert said["engine"]["compute_capability"] == ["8.9"]
    contract = qcore.load(exported).contract
    read = qcore.load(built).contract
    assert (read.inputs, read.outputs, read.classes) == (contract.inputs, contract.outputs, contract.classes)


def test_an_engine_and_another_ones_contract_are_refused(built, tmp_path):
    for path in (built, built.with_name(built.name + ".qcore.json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    beside = tmp_path / f"{built.name}.qcore.json"
    said = json.loads(beside.read_text())
    beside.write_text(json.dumps({**said, "form": {"format": "onnx"}}))
    with pytest.raises(FileError, match="not the description of an engine"):
        qcore.load(tmp_path / built.name)
    beside.write_text(json.dumps(said))
    other = tmp_path / built.name
    other.write_bytes(other.read_bytes() + b"\0")
    with pytest.raises(FileError, match="describes another engine") as caught:
        qcore.load(other)
    assert "qcore export" in caught.value.hint


def test_an_engine_alone_is_refused_and_says_how_to_make_a_whole_one(built, tmp_path):
    alone = tmp_path / built.name
    alone.write_bytes(built.read_bytes())
    with pytest.raises(FileError, match=r"its contract shapes.engine.qcore.json is missing") as caught:
        qcore.load(alone)
    assert "qcore export" in caught.value.hint


@pytest.mark.slow
def test_int8_and_float16_are_in_the_engine(exported, pictures, trained, engine_weights):
    base = qcore.recipe(exported)
    run = base.start()
    whole = engine(run)
    halved = engine(run.vary(base.with_precision("f16")))
    assert halved.form.precision == "f16"
    assert len(halved.module.plan) < len(whole.module.plan)
    calibrated = run.vary(base.with_quantizer("onnxruntime", calibration=pictures / "images"))
    for quantized in (calibrated, trained):
        made = engine(quantized)
        assert str(made.form) == "tensorrt (qdq, s8, symmetric, f16, profile tensorrt)"
        proto = quantized.model(qcore.Form("onnx", profile="tensorrt")).module
        assert engine_weights(proto) < 0.35 * run.model("onnx").module.ByteSize()


def test_a_dynamic_batch_of_pictures_that_are_not_square_gets_an_optimization_profile(checkpoint):
    run = qcore.recipe(checkpoint, batch="dynamic", imgsz=(96, 160)).start()
    made = engine(run, batch_range=(1, 4, 16))
    assert made.module.facts["batch_range"] == [1, 4, 16]
    assert made.contract.inputs[0].shape == ("batch", 3, 96, 160)
    with pytest.raises(UsageError, match="smallest, usual, largest"):
        engine(run, batch_range=(1, 8, 4))


def test_suppression_inside_the_graph_is_refused_with_the_reason(checkpoint):
    with pytest.raises(UsageError, match="no implementation of ONNX NonMaxSuppression") as caught:
        engine(qcore.recipe(checkpoint).with_head("nms").start())
    assert "--head nms" in caught.value.hint


def test_the_parsers_own_words_and_node_are_in_the_error(tmp_path):
    refused = run(request(), around(0.1, point=128, kind=np.uint8).SerializeToString())
    assert refused.plan == b""
    assert refused.errors[0]["node"] == "quantize"
    assert refused.errors[0]["operator"] == "QuantizeLinear"
    assert len(refused.errors[0]["message"]) > 10


def test_a_crash_of_the_builder_is_an_error_message():
    """Seen with tensorrt-rtx 1.7: a scale that is computed at run time ends the builder with a segmentation fault."""
    computed = [
        helper.make_node("Abs", ["x"], ["positive"]),
        helper.make_node("ReduceMax", ["positive"], ["largest"], keepdims=0),
        helper.make_node("Div", ["largest", "most"], ["scale"]),
    ]
    proto = around(None, computed).SerializeToString()
    with pytest.raises(FileError, match=r"crashed \(SIGSEGV\)") as caught:
        run(request(), proto)
    assert "qcore check" in caught.value.hint


def test_a_folder_named_like_the_package_and_a_users_modules_do_not_matter(exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    (tmp_path / "tensorrt").mkdir()
    (tmp_path / "json.py").write_text("raise RuntimeError('user file imported')")
    assert run(request(), exported.read_bytes()).plan
    assert choose() != "tensorrt" or importlib.util.find_spec("tensorrt").origin


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workspace": -5}, "--workspace -5"),
        ({"timing_cache": "."}, "a file is wanted"),
        ({"batch_range": "4,4,8"}, "begins with 1"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_built(exported, options, said):
    with pytest.raises(UsageError, match=said):
        engine(qcore.recipe(exported).start(), **options)


def test_a_compute_capability_that_is_none_is_refused(exported):
    with pytest.raises(QcoreError, match=r"compute capability 1\.0 is none of SM"):
        qcore.recipe(exported).with_conversion(compute_capability="1.0").start().model("tensorrt")


def test_the_timing_cache_is_kept_and_a_foreign_one_refused(exported, tmp_path):
    base = qcore.recipe(exported)
    cache = tmp_path / "timing.cache"
    engine(base.start(), timing_cache=str(cache))
    size = cache.stat().st_size
    assert size > 0
    engine(base.start(), timing_cache=str(cache))
    assert cache.stat().st_size >= size
    cache.write_bytes(b"no timing cache")
    with pytest.raises(UsageError, match="not a TensorRT timing cache"):
        engine(base.start(), timing_cache=str(cache))
    assert cache.read_bytes() == b"no timing cache"


def test_verbose_shows_the_builders_log(exported):
    said = []

    class Listening(Silent):
        def say(self, message):
            said.append(message)

    base = qcore.recipe(exported).start(progress=Listening())
    engine(base)
    assert not said
    engine(base, verbose=True)
    assert any("conv" in line.lower() for line in said)


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without a GPU")
def test_without_a_gpu_an_engine_says_what_it_needs(built):
    with pytest.raises(MissingDevice, match="GPU 0 not found"):
        qcore.predictor(built)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_on_a_gpu_the_engine_gives_what_onnx_runtime_gives(checkpoint, exported, pictures):
    made = qcore.predictor(checkpoint, "tensorrt")
    reference = qcore.predictor(exported, "onnxruntime")
    for one, other in zip(made.stream(pictures / "images"), reference.stream(pictures / "images"), strict=True):
        np.testing.assert_allclose(one.xyxy, other.xyxy, atol=1.0)
        np.testing.assert_array_equal(one.class_id, other.class_id)
    shape = made.contract.inputs[0].shape
    given = {made.contract.inputs[0].name: torch.zeros(shape, device="cuda")}
    assert all(value.is_cuda for value in made.session.run(given).values())


def test_without_tensorrt_the_route_is_shown_and_everything_before_the_engine_works(checkpoint, pictures, tmp_path):
    """In a process in which neither package can be found."""
    script = f"""
import importlib.util, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name in ("tensorrt", "tensorrt_rtx") else real(name, *more)
from qcore.cli import main
assert main(["list-plugins", "--kind", "backend"]) == 0
assert main(["plan", {str(checkpoint)!r}, "onnxruntime", "tensorrt"]) == 0
assert main(["quantize", {str(checkpoint)!r}, "--calib", {str(pictures / "images")!r}, "--quantizer", "onnxruntime",
             "--target", "tensorrt", "-o", {str(tmp_path)!r}]) == 0
sys.exit(main(["export", {str(checkpoint)!r}, "--to", "tensorrt", "-o", {str(tmp_path)!r}]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "pip install 'qcore-quant[tensorrt]'" in done.stdout
    assert "tensorrt or tensorrt-rtx is not installed" in done.stderr
    for step in ("torch-onnx", "tensorrt", "onnx-tensorrt"):
        assert step in done.stdout
    assert onnx.load(tmp_path / f"{checkpoint.stem}.onnx").graph.node
    assert not list(tmp_path.glob("*.engine"))
