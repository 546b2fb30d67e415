"""How ncnn wants a quantized graph."""

from __future__ import annotations

from qcore_kit.quantization.graph import AVERAGING, MOVING
from qcore_kit.quantization.operations import STACKED
from qcore_kit.quantization.profiles import Profile
from qcore_kit.quantization.qdq import QdqConverter

FLOAT = MOVING | AVERAGING | {"Add", "ConvTranspose", "Sum", "Upsample", STACKED}
"""Operations that ncnn has in float only. With every operation that moves or adds values among them, Q/DQ stand right
before convolutions and fully connected layers, which is where ncnn rounds: each reads its input by a scale of its own,
behind a Concat too."""

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
    float_variants=frozenset(FLOAT),
)
"""Int8 around 0: ncnn multiplies by one scale for the input of a layer, rounds to -127..127, and has no zero point. It
adds the products of int8 exactly, in 32 bits, on every CPU, also where it computes 3 x 3 convolutions by Winograd's
method: YOLOv5n gives the same numbers with and without. So no weight has to be narrowed.

The last convolutions are float as for other runtimes."""

CONVERTER = QdqConverter(NCNN)
