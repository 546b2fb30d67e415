"""Training: it helps, it can be repeated, resumed and shared, and its file differs from the other in numbers only."""

import itertools
import os
import runpy
import subprocess
import sys

import numpy as np
import pytest
import torch
from onnx import numpy_helper

import qcore
from qcore.plugin import CheckFailed, FileError, Silent, UsageError
from qcore_kit.quantization.table import LIMITS, Range
from qcore_plugins._shared.fakequant import quantizer as fakequant
from qcore_plugins._shared.fakequant import training
from qcore_plugins._shared.fakequant.distance import Distance
from qcore_plugins._shared.fakequant.learned import Learned, Taught
from qcore_plugins.runtimes.onnxruntime.profile import ONNXRUNTIME
from qcore_plugins.runtimes.openvino.profile import OPENVINO
from qcore_plugins.runtimes.tensorrt.profile import TENSORRT

PROFILES = ("onnxruntime", "openvino", "tensorrt")


def quantize(checkpoint, pictures, quantizer="pytorch-quantization", **options):
    made = qcore.recipe(checkpoint).with_quantizer(
        quantizer, calibration=pictures / "images", **{"qat": True, "batch": 2, "steps": 6, **options}
    )
    return made.start().model("quantizer")


def small(checkpoint, pictures, progress=None, data=None, **options):
    """The same where neither the size nor the number of the pictures matters: half the time."""
    made = qcore.recipe(checkpoint, imgsz=96).with_quantizer(
        "pytorch-quantization", calibration=few(pictures), **{"qat": True, "batch": 2, "steps": 6, **options}
    )
    return (made if data is None else made.with_data(data)).start(progress=progress).model("quantizer")


def few(pictures):
    return sorted((pictures / "images").iterdir())[:4]


def written(model, profile):
    return qcore.recipe("unused").with_backend(None, profile=profile).start().begun_at(model).model("onnx")


def weights_of(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.module.graph.graph.initializer}


def numbers_of(model):
    """Weights, and both ends and the magnitude of every range."""
    ranges = {name: np.array([r.low, r.high, r.amax or 0.0]) for name, r in model.module.ranges.items()}
    return {**weights_of(model), **{f"range of {name}": ends for name, ends in ranges.items()}}


def test_training_lowers_the_held_out_loss_and_changes_the_weights(trained, table):
    said = trained.model("quantizer").contract.provenance["quantization"]["qat"]
    assert said["loss"] < said["loss_before"]
    before = {tensor.name: numpy_helper.to_array(tensor) for tensor in table.graph.graph.initializer}
    after = weights_of(trained.model("quantizer"))
    assert set(before) == set(after)
    assert any(not np.array_equal(before[name], value) for name, value in after.items())


@pytest.mark.parametrize("profile", PROFILES)
def test_the_trained_file_has_the_calibrated_files_nodes_and_shapes(run, trained, profile):
    one, other = written(run.model("quantizer"), profile), written(trained.model("quantizer"), profile)
    assert list(one.module.graph.node) == list(other.module.graph.node)
    assert list(one.module.graph.input) == list(other.module.graph.input)
    assert list(one.module.graph.output) == list(other.module.graph.output)
    for first, second in zip(one.module.graph.initializer, other.module.graph.initializer, strict=True):
        assert (first.name, first.dims, first.data_type) == (second.name, second.dims, second.data_type)
    assert one.contract.inputs == other.contract.inputs
    assert one.contract.outputs == other.contract.outputs
    assert one.contract.inputs[0].shape[0] == 1


def test_equal_settings_give_equal_weights(checkpoint, pictures):
    one, other = (numbers_of(small(checkpoint, pictures, steps=3, scales="learned")) for _ in range(2))
    assert all(np.array_equal(value, other[name]) for name, value in one.items())


def test_a_killed_training_goes_on_where_it_was(checkpoint, pictures, tmp_path, monkeypatch):
    whole = numbers_of(small(checkpoint, pictures, state=str(tmp_path / "whole"), scales="learned"))
    state = tmp_path / "killed"

    class Killed(Silent):
        def track(self, items, description, total=None):  # noqa: ARG002
            for number, item in enumerate(items):
                yield item
                if description == "training" and number == 2:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small(checkpoint, pictures, progress=Killed(), state=str(state), scales="learned")
    kept = torch.load(state, weights_only=True)
    assert 0 < kept["step"] < 6
    resumed = numbers_of(small(checkpoint, pictures, state=str(state), scales="learned"))
    assert all(np.array_equal(value, resumed[name]) for name, value in whole.items())


def test_the_state_of_another_training_is_refused(checkpoint, pictures, tmp_path):
    state = str(tmp_path / "state")
    small(checkpoint, pictures, steps=1, state=state)
    for other in ({"steps": 2}, {"steps": 1, "percentile": 99.9}, {"steps": 1, "scales": "learned"}):
        with pytest.raises(FileError, match="another training"):
            small(checkpoint, pictures, state=state, **other)
    (tmp_path / "state").write_bytes(b"not a state")
    with pytest.raises(FileError, match="not the state of a training"):
        small(checkpoint, pictures, steps=2, state=state)


def quantized_watched(monkeypatch, checkpoint, pictures, **options):
    """The trained model, and what made its quantizers: for the symmetric placement, then for the asymmetric one."""
    made = []

    class Watched(Taught):
        def __init__(self, *given):
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr(fakequant, "Taught", Watched)
    return quantize(checkpoint, pictures, **options), made


@pytest.mark.parametrize("quantizer", ["pytorch-quantization", "modelopt"])
def test_learned_ranges_are_those_of_the_table(checkpoint, pictures, table, monkeypatch, quantizer):
    figures = itertools.count(1.0)  # each state is better than the one before, whatever six steps do to the loss
    monkeypatch.setattr(training._Training, "_judged", lambda _: next(figures))
    model, (symmetric, asymmetric) = quantized_watched(
        monkeypatch, checkpoint, pictures, quantizer=quantizer, scales="learned"
    )
    found = model.module.ranges
    assert symmetric._made
    assert asymmetric._made
    for name, group in asymmetric._placement.tensors.items():
        if group in asymmetric._made:
            assert (found[name].low, found[name].high) == asymmetric._made[group].range()
    for name, group in symmetric._placement.tensors.items():
        if group in symmetric._made:
            assert found[name].amax == symmetric._made[group].range()[1]
    moved = [name for name in found if found[name].high != table.ranges[name].high]
    assert len(moved) > len(found) / 2
    assert (found["images"].low, found["images"].high) == (0.0, 1.0)


def test_fixed_scales_stay_what_the_calibration_found(checkpoint, pictures, table, monkeypatch):
    model, (symmetric, asymmetric) = quantized_watched(monkeypatch, checkpoint, pictures, scales="fixed", steps=4)
    assert not symmetric._made
    assert not asymmetric._made
    joined = table.joined(symmetric._placement)
    for name, group in symmetric._placement.tensors.items():
        found = model.module.ranges[name]
        assert found.amax == joined[group].largest
        assert -found.amax <= found.low <= found.high <= found.amax


@pytest.mark.parametrize("profile", [ONNXRUNTIME, OPENVINO, TENSORRT], ids=lambda profile: profile.name)
@pytest.mark.parametrize("first", [Range(-0.3, 6.0), Range(0.0, 1.0), Range(-5.0, 0.0)])
def test_a_learned_range_rounds_as_the_written_scale_does(first, profile):
    quantizer = Learned(first, profile)
    x = torch.linspace(-8, 8, 4001)
    scale, point = Range(*quantizer.range()).quantization(profile.activation, profile.symmetric)
    low, high = LIMITS[profile.activation]
    steps = np.clip(np.rint(x.numpy() / np.float32(scale)) + point, low, high) - point
    assert np.abs(quantizer(x).detach().numpy() - steps * scale).max() <= scale * 1.001  # halves go either way
    assert np.mean(np.abs(quantizer(x).detach().numpy() - steps * scale) > scale / 100) < 0.01


@pytest.mark.parametrize("first", [Range(-60.0, 60.0), Range(-1.0, 1.0)])
def test_a_learned_range_finds_where_rounding_and_clipping_balance(first):
    torch.manual_seed(0)
    x = torch.randn(4096)
    quantizer = Learned(first, ONNXRUNTIME)
    optimizer = torch.optim.Adam(quantizer.parameters(), lr=0.02 * first.high)
    for _ in range(300):
        optimizer.zero_grad()
        ((quantizer(x) - x) ** 2).mean().backward()
        optimizer.step()
    low, high = quantizer.range()
    assert -5 < low < -2.5
    assert 2.5 < high < 5


def test_a_learned_range_never_reaches_0():
    quantizer = Learned(Range(-1.0, 1.0), ONNXRUNTIME)
    with torch.no_grad():
        quantizer.high.fill_(-3.0)
        quantizer.low.fill_(3.0)
    assert quantizer.range() == (-1 / 64, 1 / 64)
    made = quantizer(torch.randn(1024))
    assert torch.isfinite(made).all()
    ((made - 5) ** 2).mean().backward()  # it can come back
    assert quantizer.high.grad.item() < 0


def test_a_loss_that_is_no_number_stops_the_training(checkpoint, pictures, monkeypatch):
    real = Distance.__call__
    monkeypatch.setattr(Distance, "__call__", lambda self, got, wanted: real(self, got, wanted) * float("nan"))
    with pytest.raises(CheckFailed, match="the loss is nan after step 1"):
        small(checkpoint, pictures)


@pytest.mark.parametrize("options", [{"steps": 0}, {"batch": 0}, {"rate": 0.0}])
def test_settings_that_train_nothing_are_refused(checkpoint, pictures, options):
    with pytest.raises(UsageError, match="above 0"):
        small(checkpoint, pictures, **options)


def test_one_picture_is_too_few(checkpoint, pictures):
    one = next((pictures / "images").iterdir())
    made = qcore.recipe(checkpoint).with_quantizer("pytorch-quantization", calibration=one, qat=True)
    with pytest.raises(UsageError, match="too few to train"):
        made.start().model("quantizer")


def test_the_judge_decides_which_state_is_the_best(checkpoint, pictures, monkeypatch):
    from qcore.workflow.evaluating import Judge

    figures = iter([0.5, 0.9, 0.1])
    monkeypatch.setattr(Judge, "__call__", lambda *_: next(figures))
    monkeypatch.setattr(training, "ROUNDS", 2)
    said = small(checkpoint, pictures, data=pictures / "instances.json", steps=4).contract.provenance["quantization"][
        "qat"
    ]
    assert (said["step"], said["judged"]) == (2, 0.9)


@pytest.fixture(scope="module")
def families(upstream, shared, tmp_path_factory):
    """A dual-head YOLOv9 and a YOLO-NAS, with weights by the rule."""
    path = tmp_path_factory.mktemp("nas") / "nas.pth"
    torch.save({"net": upstream("yolonas", "yolo_nas_s")[1]}, path)
    return {"yolov9": shared / "checkpoints" / "yolov9-t-filled.pt", "yolonas": path}


@pytest.mark.assets
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::qcore.errors.AssumptionWarning")
@pytest.mark.parametrize("family", ["yolov9", "yolonas"])
def test_other_families_train_with_a_batch_and_are_exported_with_one(families, pictures, family, engine_weights):
    base = qcore.recipe(families[family], imgsz=96)
    plain = base.with_quantizer("pytorch-quantization", calibration=pictures / "images").start().model("quantizer")
    options = {"qat": True, "batch": 8, "steps": 8, "rate": 2e-6}
    trained = base.with_quantizer("pytorch-quantization", calibration=pictures / "images", **options)
    trained = trained.start().model("quantizer")
    said = trained.contract.provenance["quantization"]["qat"]
    assert said["loss"] < said["loss_before"]
    for profile in PROFILES:
        one, other = written(plain, profile), written(trained, profile)
        assert list(one.module.graph.node) == list(other.module.graph.node)
        assert one.contract.inputs == other.contract.inputs
        assert one.contract.inputs[0].shape[0] == 1
        assert one.contract.outputs == other.contract.outputs
    float_ = base.start().model("onnx").module.ByteSize()
    for made in (plain, trained):
        assert engine_weights(written(made, "tensorrt").module) < 0.35 * float_


SCRIPT = """
import os, sys
import numpy, qcore
from onnx import numpy_helper
checkpoint, pictures, out = sys.argv[1:]
made = qcore.recipe(checkpoint).with_quantizer(
    "pytorch-quantization", calibration=pictures, qat=True, batch=2, steps=4, device="cpu", scales="learned"
).start().model("quantizer")
graph = made.module.graph.graph
numpy.savez(f"{out}-{os.environ.get('RANK', '0')}.npz",
            **{f"range {name}": [r.low, r.high, r.amax or 0] for name, r in made.module.ranges.items()},
            **{t.name: numpy_helper.to_array(t) for t in graph.initializer if t.name.endswith((".weight", ".bias"))})
"""


@pytest.mark.slow
def test_two_processes_train_what_one_does(checkpoint, pictures, tmp_path, monkeypatch):
    (tmp_path / "script.py").write_text(SCRIPT)
    arguments = [str(tmp_path / "script.py"), str(checkpoint), str(pictures / "images")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    monkeypatch.setattr(sys, "argv", [*arguments, str(tmp_path / "one")])
    runpy.run_path(arguments[0])
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*launch, *arguments, str(tmp_path / "two")], check=True, env=environment)
    one, first, second = (np.load(tmp_path / f"{name}.npz") for name in ("one-0", "two-0", "two-1"))
    start = {name: value.detach().numpy() for name, value in qcore.load(checkpoint).module.named_parameters()}
    assert sorted(one) == sorted(first)
    for name in one:
        assert np.array_equal(first[name], second[name])
        assert np.abs(one[name] - first[name]).max() < (0.01 * np.abs(one[name]).max() if " " in name else 1e-5)
    assert any(name in start and np.abs(one[name] - start[name]).max() > 1e-5 for name in one)
