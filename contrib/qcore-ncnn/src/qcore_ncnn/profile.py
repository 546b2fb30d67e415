"""How ncnn wants a quantized graph."""

from __future__ import annotations

from qcore_kit.quantization.graph import AVERAGING, MOVING, WEIGHTED
from qcore_kit.quantization.operations import STACKED
from qcore_kit.quantization.profiles import Profile
from qcore_kit.quantization.qdq import QdqConverter

FLOAT = (MOVING | AVERAGING | {"Add", "Sum", "Upsample", STACKED} | WEIGHTED) - {"Conv", "Gemm", "MatMul"}

NCNN = Profile(
    name="ncnn",
    activation="s8",
    symmetric=True,
    every_output=False,
    whole_silu=True,
    share_concat=False,
    share_add=False,
    last_layer=False,
    integer_bias=False,
    float_variants=FLOAT,
)
CONVERTER = QdqConverter(NCNN)
