"""What the probe says of how a layer's values are rounded."""

import math

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import qcore
from qcore_kit.onnxfile.view import View
from qcore_plugins.runtimes.onnxruntime.probe import OnnxInside


@pytest.fixture(scope="module")
def int8(checkpoint, pictures):
    made = qcore.recipe(checkpoint).with_quantizer("onnxruntime", calibration=pictures / "images")
    return made.with_backend("onnxruntime").start().model("onnx").module


def test_what_a_silu_makes_nothing_of_is_not_called_cut(int8):
    inside = OnnxInside(int8)
    gated = [layer for layer in inside.layers if layer in View(int8).graph.gated()]
    found = [each for layer in gated for each in inside.quantized(layer) if each.tensor == layer]
    assert len(found) == len(gated)
    assert -math.inf in {each.low for each in found}
    assert all(each.low < -3 and 0 < each.high < math.inf for each in found)  # some have no values further below


def rounded(int8, suffix, value):
    """How the first layer in front of a SiLU is rounded, with one number of its QuantizeLinear changed."""
    wrong = onnx.ModelProto()
    wrong.CopyFrom(int8)
    layer = next(iter(View(int8).graph.gated()))
    (stored,) = [tensor for tensor in wrong.graph.initializer if tensor.name == f"{layer}_{suffix}"]
    stored.CopyFrom(numpy_helper.from_array(value, stored.name))
    (found,) = [each for each in OnnxInside(wrong).quantized(layer) if each.tensor == layer]
    return found


def test_a_range_that_ends_where_a_silu_is_not_yet_0_is_called_cut(int8):
    assert rounded(int8, "zero_point", np.array(0, np.uint8)).low == 0


def test_a_scale_much_too_coarse_in_front_of_a_silu_can_be_looked_at(int8):
    assert rounded(int8, "scale", np.array(1000, np.float32)).step == 1000
