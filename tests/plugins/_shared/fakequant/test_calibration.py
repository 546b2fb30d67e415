"""Calibrators: the packages' results, without their limits."""

import logging
import math

import numpy as np
import onnxruntime
import pytest
import torch

import qcore
from qcore.plugin import CheckFailed
from qcore_plugins.quantizers.pytorch_quantization.package import pytorch_quantization
from qcore_plugins.quantizers.pytorch_quantization.quantizer import Calibrator, PytorchQuantizationKit, Quantizer

VALUES = torch.from_numpy(np.random.default_rng(0).laplace(0, 1, (8, 40_000)).astype(np.float32))


@pytest.mark.parametrize(
    ("method", "settings"), [("max", {}), ("percentile", {"percentile": 99.9}), ("entropy", {"stride": 8})]
)
def test_the_range_is_the_packages_own(method, settings):
    ours = Calibrator()
    package = pytorch_quantization().calib
    theirs = package.MaxCalibrator(8, None, False) if method == "max" else package.HistogramCalibrator(8, None, False)
    for batch in VALUES:
        ours.collect(batch)
        theirs.collect(batch)
    expected = theirs.compute_amax(**({} if method == "max" else {"method": method, **settings}))
    bins_apart = 0.1 if method == "entropy" else 0.03
    assert float(ours.compute_amax(method, **settings)) == pytest.approx(float(expected), rel=bins_apart)


def test_mse_needs_no_gpu_and_finds_the_smallest_error():
    ours = Calibrator()
    for batch in VALUES:
        ours.collect(batch)
    found = float(ours.compute_amax("mse"))

    def error(amax):
        return float(((torch.fake_quantize_per_tensor_affine(VALUES, amax / 127, 0, -127, 127) - VALUES) ** 2).mean())

    assert error(found) <= min(error(found * factor) for factor in (0.8, 0.9, 1.1, 1.25)) * 1.01
    assert found < float(VALUES.abs().max())


def test_memory_does_not_grow_with_the_largest_value():
    """The package's own calibrator would make a bin for each thousandth here: 1e9 of them."""
    ours = Calibrator()
    ours.collect(torch.full((100,), 1e-3))
    ours.collect(torch.tensor([1e6, -1e3]))
    assert ours.seen.counts.size == 8192
    assert float(ours.compute_amax("max")) == 1e6


def test_the_sides_of_zero_are_cut_apart():
    ours = Calibrator()
    ours.collect(torch.cat((torch.linspace(-0.25, 0, 1000), torch.linspace(0, 8, 1000))))
    found = ours.compute_range("percentile", percentile=99.999)
    assert (found.low, found.high) == (pytest.approx(-0.25, abs=0.01), pytest.approx(8, abs=0.01))
    assert found.amax == pytest.approx(8, abs=0.01)


def test_nan_is_kept():
    ours = Calibrator()
    ours.collect(torch.tensor([1.0, math.nan]))
    assert math.isnan(ours.compute_range("percentile", percentile=99.9).high)


@pytest.mark.parametrize(("amax", "said"), [(None, "dynamic"), (0.0, "0"), (math.nan, "nan"), (math.inf, "inf")])
def test_a_quantizer_without_a_usable_amax_is_refused_by_name(quantizer, amax, said):
    layer = PytorchQuantizationKit().fixed(1.0)
    if amax is None:
        del layer._buffers["_amax"]
    else:
        layer.amax = amax
    with pytest.raises(CheckFailed, match=rf"neck\.3.*{said}"):
        quantizer.require_fixed(torch.nn.ModuleDict({"neck": torch.nn.ModuleDict({"3": layer})}))


@pytest.mark.filterwarnings("ignore")  # of the exporter that upstream used
def test_a_quantizer_left_dynamic_bakes_the_dummys_range_into_an_export(tmp_path, exported, table, data, run):
    """The failure that fixed scales prevent: upstream's way gives the file the range of the dummy input."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.quantizer = Quantizer()
            self.conv = torch.nn.Conv2d(1, 1, 1, bias=False)
            torch.nn.init.ones_(self.conv.weight)

        def forward(self, x):
            return self.conv(self.quantizer(x))

    net, dummy, real = Net().eval(), torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8) * 20
    before = Quantizer.use_fb_fake_quant
    Quantizer.use_fb_fake_quant = True
    try:
        torch.onnx.export(net, (dummy,), tmp_path / "dynamic.onnx", dynamo=False, opset_version=13)
    finally:
        Quantizer.use_fb_fake_quant = before
    session = onnxruntime.InferenceSession(tmp_path / "dynamic.onnx")
    got = session.run(None, {session.get_inputs()[0].name: real.numpy()})[0]
    with torch.no_grad():
        expected = net(real).numpy()
    assert got.max() < 1.01 < 15 < expected.max()

    from qcore_kit.quantization.literal import literal
    from qcore_kit.quantization.writer import write
    from qcore_plugins._shared.fakequant.simulated import simulated
    from qcore_plugins.runtimes.openvino.profile import OPENVINO

    brighter = {"images": data.take([0])["images"] * 20}
    ours = simulated(exported, table, OPENVINO).run(brighter)
    written = literal(write(table, OPENVINO)).run(brighter)
    for name, value in ours.items():
        assert np.abs(value - written[name])[..., 4:].mean() < 0.01


def test_importing_the_package_leaves_logging_as_it_was():
    before = logging.getLogger().handlers[:]
    pytorch_quantization()
    assert logging.getLogger().handlers == before


@pytest.mark.parametrize("method", ["max", "percentile"])
def test_modelopt_finds_the_same_table_at_the_same_places(checkpoint, pictures, method):
    tables = []
    for name in ("pytorch-quantization", "modelopt"):
        made = qcore.recipe(checkpoint).with_quantizer(name, calibration=pictures / "images", limit=4, method=method)
        tables.append(made.start().model("quantizer").module)
    one, other = tables
    assert set(one.ranges) == set(other.ranges)
    for name, found in one.ranges.items():
        assert other.ranges[name].largest == pytest.approx(found.largest, rel=0.01)
        assert other.ranges[name].low == pytest.approx(found.low, rel=0.01, abs=1e-6)


def test_calibration_never_computes_in_tf32(checkpoint, pictures, monkeypatch):
    """Ranges found on a GPU are those of a CPU; afterwards the switches stand as before."""
    switches = torch.backends.cudnn, torch.backends.cuda.matmul
    seen = set()
    collect = Calibrator.collect
    monkeypatch.setattr(
        Calibrator, "collect", lambda self, x: seen.add(any(each.allow_tf32 for each in switches)) or collect(self, x)
    )
    before = [each.allow_tf32 for each in switches]
    recipe = qcore.recipe(checkpoint, imgsz=96)
    recipe.with_quantizer("pytorch-quantization", calibration=pictures / "images", limit=2).start().model("quantizer")
    assert seen == {False}
    assert [each.allow_tf32 for each in switches] == before
