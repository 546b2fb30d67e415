"""Graphs of older opsets: raised before anything is placed, or refused before anything is calibrated."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from qcore.plugin import CheckFailed, FileError
from qcore_kit.onnxfile.opset import opset, raised
from qcore_kit.quantization.calibration import ranges
from qcore_kit.quantization.graph import from_onnx
from qcore_kit.quantization.literal import literal
from qcore_kit.quantization.placement import candidates
from qcore_kit.quantization.table import ScaleTable, weight_scales
from qcore_kit.quantization.writer import write
from qcore_plugins.runtimes.onnxruntime.profile import ONNXRUNTIME
from qcore_plugins.runtimes.openvino.profile import OPENVINO
from qcore_plugins.runtimes.tensorrt.profile import TENSORRT

PROFILES = {profile.name: profile for profile in (ONNXRUNTIME, OPENVINO, TENSORRT)}

FLOAT = onnx.TensorProto.FLOAT
PICTURE = np.random.default_rng(0).random((1, 3, 16, 16), np.float32)


def old(version):
    """A detector with what changed between opsets: Clip, Upsample, Resize, ReduceMean, Pad, Softmax, Squeeze."""
    rng, node = np.random.default_rng(0), helper.make_node
    constants = {
        "w": rng.normal(0, 0.3, (8, 3, 3, 3)),
        "b": rng.normal(0, 0.3, 8),
        "w2": rng.normal(0, 0.3, (6, 16, 1, 1)),
    }
    constants = {name: value.astype(np.float32) for name, value in constants.items()}
    constants |= {"sizes": np.array([1, 1, 2, 2], np.float32), "flat": np.array([1, 6, -1], np.int64)}
    constants |= {"one": np.array([0], np.int64), "pads": np.zeros(8, np.int64), "roi": np.zeros(0, np.float32)}
    asymmetric = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    upsampled = {9: node("Upsample", ["p", "sizes"], ["u"], "up"), 10: node("Resize", ["p", "sizes"], ["u"], "up")}
    early = version < 13
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], "conv", pads=[1] * 4),
        node("Clip", ["c"], ["a"], "clip", min=-1.0, max=6.0) if version < 11 else node("Relu", ["c"], ["a"], "relu"),
        node("MaxPool", ["a"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        upsampled.get(version, node("Resize", ["p", "roi", "sizes"], ["u"], "up", **asymmetric)),
        node("ReduceMean", ["u"], ["m"], "mean", axes=[2, 3]),
        node("Sigmoid", ["m"], ["g"], "gate"),
        node("Mul", ["u", "g"], ["s"], "scaled"),
        node("Pad", ["s"], ["d"], "pad", pads=[0] * 8) if version < 11 else node("Pad", ["s", "pads"], ["d"], "pad"),
        node("Concat", ["d", "a"], ["k"], "concat", axis=1),
        node("Conv", ["k", "w2"], ["y"], "conv2"),
        node("Reshape", ["y", "flat"], ["r"], "reshape"),
        node("Softmax", ["r"], ["soft"], "softmax", axis=1),
        node("Unsqueeze", ["soft"], ["wide"], "wide", axes=[0])
        if early
        else node("Unsqueeze", ["soft", "one"], ["wide"]),
        node("Squeeze", ["wide"], ["out"], "out", axes=[0]) if early else node("Squeeze", ["wide", "one"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "old",
        [helper.make_tensor_value_info("x", FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("out", FLOAT, [1, 6, 256])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=4 if early else 8)
    helper.set_model_props(model, {"names": "kept"})
    onnx.checker.check_model(model)
    return model


def run(model):
    return next(iter(literal(model).run({"x": PICTURE}).values()))


@pytest.mark.parametrize("version", [9, 10, 11, 12, 13, 17])
def test_every_profile_writes_a_graph_of_an_older_opset(version):
    model = old(version)
    float_ = raised(model)
    assert opset(float_) == 19
    assert {entry.key: entry.value for entry in float_.metadata_props} == {"names": "kept"}
    assert run(float_) == pytest.approx(run(model), abs=1e-6)
    graph = from_onnx(float_)
    found = ranges(float_, graph, [{"x": PICTURE}], "minmax")
    table = ScaleTable.make(float_, found, weight_scales(graph, float_), needed=candidates(graph))
    for profile in PROFILES.values():
        written = write(table, replace(profile, last_layer=True))
        onnx.checker.check_model(written, full_check=True)
        assert any(node.op_type == "QuantizeLinear" for node in written.graph.node)
        assert run(written) == pytest.approx(run(model), abs=0.02)


def test_a_new_graph_stays_as_it_is():
    model = raised(old(17))
    assert raised(model) is model


def test_what_cannot_be_raised_is_refused_with_its_opset():
    model = old(11)
    model.graph.node[1].CopyFrom(helper.make_node("Unheard", ["c"], ["a"], "unheard"))
    with pytest.raises(FileError, match="opset 11, scales per channel need 13") as caught:
        raised(model)
    assert "opset 19" in caught.value.hint


def test_a_table_of_an_old_graph_is_refused_by_name():
    model = old(13)
    graph = from_onnx(model)
    found = ranges(model, graph, [{"x": PICTURE}], "minmax")
    table = ScaleTable.make(model, found, weight_scales(graph, model), needed=candidates(graph))
    with pytest.raises(CheckFailed, match="opset 13; float16 Q/DQ of profile tensorrt need opset 19"):
        write(table, TENSORRT)
