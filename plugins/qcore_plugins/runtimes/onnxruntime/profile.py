"""How ONNX Runtime wants a quantized graph."""

from __future__ import annotations

from qcore_kit.quantization.operations import ROUNDING_UP, STACKED
from qcore_kit.quantization.profiles import Profile
from qcore_kit.quantization.qdq import QdqConverter

ONNXRUNTIME = Profile(
    name="onnxruntime",
    activation="u8",
    symmetric=False,
    every_output=True,
    whole_silu=False,
    share_concat=False,
    share_add=False,
    last_layer=False,
    integer_bias=True,
    float_variants=frozenset({"Softmax", STACKED, ROUNDING_UP}),
    saturates_like="onnxruntime",
)
"""ONNX Runtime on a CPU runs a convolution in int8 only if its output is quantized too, and loses .02 AP where
activations are symmetric.

It refuses a scale per column of a stack of matrices, rounds an average pool's size up only in float, and gives 0 for a
Softmax whose results are all small."""

CONVERTER = QdqConverter(ONNXRUNTIME)
