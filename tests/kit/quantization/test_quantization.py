"""Placement, scale table and writer: what is quantized, with which numbers, and what the runtimes make of it."""

import math
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from qcore.plugin import AssumptionWarning, CheckFailed
from qcore_kit.quantization.calibration import ranges
from qcore_kit.quantization.graph import from_onnx
from qcore_kit.quantization.histogram import Histogram
from qcore_kit.quantization.placement import candidates, place
from qcore_kit.quantization.table import Range, ScaleTable, weight_scale
from qcore_kit.quantization.writer import quantized, write
from qcore_plugins.runtimes.onnxruntime.backend import EXACT
from qcore_plugins.runtimes.onnxruntime.profile import ONNXRUNTIME
from qcore_plugins.runtimes.openvino.profile import OPENVINO

PICTURES = [np.random.default_rng(seed).random((1, 3, 16, 16), np.float32) for seed in range(8)]


def run(model, picture):
    """What the graph says, on every kind of CPU: without VNNI, the runtime's own int8 sums would saturate."""
    settings = onnxruntime.SessionOptions()
    settings.add_session_config_entry(EXACT, "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": picture})[0]


def table_of(model, method="minmax", pictures=PICTURES, steps=127):
    graph = from_onnx(model)
    found = ranges(model, graph, [{"x": picture} for picture in pictures], method)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    known = {node.weight: weight_scale(constants[node.weight], 0) for node in graph.nodes if node.weight}
    weights = {name: replace(each, scale=each.scale * 127 / steps) for name, each in known.items()}
    return ScaleTable.make(model, found, weights, needed=candidates(graph))


def test_the_tail_is_found_from_the_graph(small):
    graph = from_onnx(small)
    assert graph.tail == {"reshape", "scores"}
    assert graph.last == {"conv3"}


def test_the_tail_does_not_depend_on_names(small):
    renamed = onnx.ModelProto()
    renamed.CopyFrom(small)
    for number, node in enumerate(renamed.graph.node):
        node.name = f"n{number}"
    assert from_onnx(renamed).tail == {"n11", "n12"}


def test_a_convolution_behind_a_softmax_belongs_to_the_tail(small):
    node = onnx.helper.make_node
    small.graph.node[-1].CopyFrom(node("Softmax", ["r"], ["soft"], "softmax", axis=1))
    small.graph.node.append(node("Conv", ["soft", "bins"], ["out"], "expectation"))
    small.graph.initializer.append(numpy_helper.from_array(np.ones((6, 6, 1), np.float32), "bins"))
    assert from_onnx(small).tail == {"reshape", "softmax", "expectation"}
    assert from_onnx(small).last == {"conv3"}


def test_onnxruntime_quantizes_every_operation_but_what_serves_the_last_alone(small):
    placement = place(from_onnx(small), ONNXRUNTIME)
    assert set(placement.tensors) == {"x", "c1", "g1", "s1", "c2"}
    assert [node.name for node in placement.weighted] == ["conv1", "conv2"]
    placement = place(from_onnx(small), replace(ONNXRUNTIME, last_layer=True))
    assert set(placement.tensors) == {"x", "c1", "g1", "s1", "c2", "g2", "s2", "a", "p", "u", "k", "head"}
    assert [node.name for node in placement.weighted] == ["conv1", "conv2", "conv3"]
    assert placement.tensors["a"] == placement.tensors["p"] == placement.tensors["u"]
    assert placement.tensors["k"] == "k"


def test_openvino_keeps_silu_whole_and_shares_the_scale_of_a_concat(small):
    placement = place(from_onnx(small), replace(OPENVINO, last_layer=True))
    assert set(placement.tensors) == {"x", "s1", "s2", "a"}
    assert placement.tensors["a"] == placement.tensors["s2"]
    assert placement.tensors["s1"] != placement.tensors["s2"]
    assert [node.name for node in placement.weighted] == ["conv1", "conv2", "conv3"]
    without = place(from_onnx(small), OPENVINO)
    assert set(without.tensors) == {"x", "s1"}
    assert [node.name for node in without.weighted] == ["conv1", "conv2"]


@pytest.mark.parametrize("profile", [ONNXRUNTIME, OPENVINO], ids=lambda profile: profile.name)
def test_the_quantized_graph_gives_nearly_the_float_result(small, profile):
    written = write(table_of(small), profile)
    onnx.checker.check_model(written, full_check=True)
    apart = max(np.abs(run(written, picture) - run(small, picture)).max() for picture in PICTURES)
    assert 0 < apart < 0.02


@pytest.mark.parametrize("profile", [ONNXRUNTIME, OPENVINO], ids=lambda profile: profile.name)
def test_scales_are_constants_and_weights_are_int8(small, profile):
    written = write(table_of(small), profile)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in written.graph.initializer}
    pairs = [node for node in written.graph.node if node.op_type in {"QuantizeLinear", "DequantizeLinear"}]
    assert pairs
    assert all(name in constants for node in pairs for name in node.input[1:])
    assert constants["w1_quantized"].dtype == np.int8
    assert constants["w1_scale"].shape == (8,)
    assert "w1" not in constants
    assert written.ByteSize() < small.ByteSize() * 3  # Q/DQ nodes; the weights here are small


@pytest.mark.parametrize("profile", [ONNXRUNTIME, OPENVINO], ids=lambda profile: profile.name)
def test_files_of_one_profile_differ_in_numbers_only(small, another, profile):
    """Another network of the same architecture, calibrated on other pictures: the same nodes, names and shapes."""
    first = write(table_of(small), profile)
    second = write(table_of(another, "percentile", PICTURES[:3]), profile)
    assert list(first.graph.node) == list(second.graph.node)
    for one, other in zip(first.graph.initializer, second.graph.initializer, strict=True):
        assert (one.name, one.dims, one.data_type) == (other.name, other.dims, other.data_type)


def test_openvino_and_onnxruntime_compute_the_openvino_profile_alike(small):
    """On every kind of CPU, with weights whose sums do not saturate."""
    openvino = pytest.importorskip("openvino")
    written = write(table_of(small, steps=64), OPENVINO)
    compiled = openvino.Core().compile_model(
        openvino.Core().read_model(written.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    for picture in PICTURES:
        apart = np.abs(compiled(picture)[0] - run(written, picture)).max()
        assert apart < 0.02


def test_writing_leaves_the_float_graph_as_it_was(small):
    table = table_of(small)
    before = small.SerializeToString()
    write(table, ONNXRUNTIME)
    assert small.SerializeToString() == before


@pytest.mark.parametrize("bad", [Range(math.nan, 1), Range(0, math.inf), Range(1, -1)])
def test_ranges_that_give_no_scale_are_refused(small, bad):
    table = table_of(small)
    with pytest.raises(CheckFailed, match="tensor s1"):
        ScaleTable.make(small, {**table.ranges, "s1": bad}, table.weights, needed=table.ranges)


def test_a_tensor_that_is_zero_takes_any_scale_but_not_most_of_them(small):
    """A branch that does nothing, an empty canvas: there is nothing to lose. Where most are, the inputs are wrong."""
    table = table_of(small)
    with pytest.warns(AssumptionWarning, match="tensor s1 is 0 on all calibration inputs"):
        made = ScaleTable.make(small, {**table.ranges, "s1": Range(0, 0)}, table.weights, needed=table.ranges)
    assert (made.ranges["s1"].low, made.ranges["s1"].high) == (0, 1)
    with pytest.raises(CheckFailed, match="is 0 everywhere"):
        ScaleTable.make(small, dict.fromkeys(table.ranges, Range(0, 0)), table.weights, needed=[])


def test_a_missing_range_and_a_zero_weight_scale_are_refused(small):
    table = table_of(small)
    without = {name: found for name, found in table.ranges.items() if name != "c2"}
    with pytest.raises(CheckFailed, match="tensor c2: no range"):
        ScaleTable.make(small, without, table.weights, needed=table.ranges)
    broken = {**table.weights, "w1": replace(table.weights["w1"], scale=np.zeros(8))}
    with pytest.raises(CheckFailed, match="weight w1"):
        ScaleTable.make(small, table.ranges, broken, needed=[])


def test_a_model_that_gives_nan_is_not_quantized(small):
    broken = onnx.ModelProto()
    broken.CopyFrom(small)
    broken.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full((8, 3, 3, 3), np.nan, np.float32), "w1"))
    with pytest.raises(CheckFailed, match="range nan"):
        table_of(broken)


def test_a_layer_that_gives_nothing_usable_is_refused_by_name(small):
    broken = onnx.ModelProto()
    broken.CopyFrom(small)
    for index, name, shape in ((0, "w1", (8, 3, 3, 3)), (3, "b1", (8,))):
        assert broken.graph.initializer[index].name == name
        value = np.full(shape, np.inf if name == "w1" else 0.0, np.float32)
        broken.graph.initializer[index].CopyFrom(numpy_helper.from_array(value, name))
    with pytest.raises(CheckFailed, match="tensor c1"):
        table_of(broken)


def test_the_hash_of_a_table_follows_its_numbers(small):
    table = table_of(small)
    assert table.sha256() == table_of(small).sha256()
    changed = ScaleTable(small, {**table.ranges, "x": Range(0, 2)}, table.weights)
    assert changed.sha256() != table.sha256()


def test_what_only_a_silu_reads_is_clipped_where_silu_is_flat(small):
    biased = onnx.ModelProto()
    biased.CopyFrom(small)
    biased.graph.initializer[3].CopyFrom(numpy_helper.from_array(np.repeat([-30, 0], 4).astype(np.float32), "b1"))
    found = ranges(biased, from_onnx(biased), [{"x": PICTURES[0]}], "minmax")
    assert found["c1"].low == -10
    assert found["c1"].high > 0


@given(low=st.floats(-100, 0), high=st.floats(0.01, 100), symmetric=st.booleans(), kind=st.sampled_from(["u8", "s8"]))
@settings(max_examples=200)
def test_zero_is_exact_and_the_range_is_covered(low, high, symmetric, kind):
    scale, point = Range(low, high).quantization(kind, symmetric)
    first, last = {"u8": (0, 255), "s8": (-128, 127)}[kind]
    assert first <= point <= last
    assert (first - point) * scale <= low + scale
    assert (last - point) * scale >= high - scale


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=40))
@settings(max_examples=100)
def test_weights_come_back_within_half_a_step(values):
    weight = np.array(values, np.float32).reshape(1, -1)
    known = weight_scale(weight, 0)
    back = quantized(weight, known.scale, 0) * known.scale[:, None]
    assert np.abs(back - weight).max() <= known.scale[0] * 0.5001


def test_histograms_widen_and_keep_their_counts():
    seen = Histogram()
    for scale in (1, 3, 50, 0.1):
        seen.add(np.linspace(-scale, scale, 1001, dtype=np.float32))
    assert seen.counts.sum() == 4 * 1001
    assert (seen.range("minmax").low, seen.range("minmax").high) == (-50, 50)
    assert seen.range("moving-average").high == pytest.approx((1 + 3 + 50 + 0.1) / 4)


@pytest.mark.parametrize("channels", [3, 5, 16, 17, 48, 85])
def test_every_channel_is_sampled_wherever_it_lies(channels):
    """A stride that shares a factor with the number of channels would see some of them only."""
    for shape in ((1, 160, 160, channels), (1, channels, 160, 160), (1, 25600, channels), (1, 160, channels, 160)):
        seen = Histogram()
        sizes = 1 + np.arange(channels, dtype=np.float32)
        along = [channels if size == channels else 1 for size in shape]
        seen.add(np.broadcast_to(sizes.reshape(along), shape).copy())
        shares = seen.counts[seen.counts > 0] / seen.counts.sum()
        assert len(shares) == channels
        assert shares == pytest.approx(1 / channels, rel=0.25)


def test_histograms_do_not_depend_on_the_order_of_the_batches():
    rng = np.random.default_rng(0)
    batches = [rng.normal(0, size, (1, 9, 120, 120)).astype(np.float32) for size in (0.1, 3, 1)]
    one, other = Histogram(), Histogram()
    for batch in batches:
        one.add(batch)
    for batch in reversed(batches):
        other.add(batch)
    assert (one.counts == other.counts).all()
    assert one.range("percentile") == other.range("percentile")


def test_percentile_leaves_out_the_outermost():
    values = np.zeros(1_000_000, np.float32)
    values[:], values[0], values[-1] = np.linspace(-1, 1, values.size), -80, 80
    seen = Histogram()
    for start in range(0, values.size, 50_000):
        seen.add(values[start : start + 50_000])
    found = seen.range("percentile")
    assert (found.low, found.high) == (pytest.approx(-1, abs=0.05), pytest.approx(1, abs=0.05))


def test_a_bias_survives_where_the_weights_are_nearly_nothing(small):
    """Channels that pruning left dead or almost dead still add their bias."""
    changed = onnx.ModelProto()
    changed.CopyFrom(small)
    constants = {tensor.name: tensor for tensor in changed.graph.initializer}
    weight = numpy_helper.to_array(constants["w1"]).copy()
    weight[0], weight[1] = 0, weight[1] * 1e-12
    bias = numpy_helper.to_array(constants["b1"]).copy()
    bias[:2] = 1.0, 0.02
    constants["w1"].CopyFrom(numpy_helper.from_array(weight, "w1"))
    constants["b1"].CopyFrom(numpy_helper.from_array(bias, "b1"))
    written = write(table_of(changed), ONNXRUNTIME)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in written.graph.initializer}
    assert stored["b1_c1_quantized"] * stored["b1_c1_scale"] == pytest.approx(bias, rel=1e-2)


def test_nan_in_a_later_batch_is_not_lost(small):
    seen = Histogram()
    seen.add(np.ones(4, np.float32))
    seen.add(np.array([np.nan, 1], np.float32))
    with pytest.raises(CheckFailed, match="tensor x has the range nan"):
        ScaleTable.make(small, {"x": seen.range("percentile")}, {}, needed=[])
