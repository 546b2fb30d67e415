"""How OpenVINO wants a quantized graph."""

from __future__ import annotations

from qcore_kit.quantization.operations import COUNTING_PADS, WITHOUT_BIAS
from qcore_kit.quantization.profiles import Profile
from qcore_kit.quantization.qdq import QdqConverter

OPENVINO = Profile(
    name="openvino",
    activation="u8",
    symmetric=False,
    every_output=False,
    whole_silu=True,
    share_concat=True,
    share_add=False,
    last_layer=False,
    integer_bias=False,
    float_variants=frozenset({COUNTING_PADS, WITHOUT_BIAS}),
    saturates_like="openvino",
)
"""Asymmetric: a SiLU gives -0.28 and more, so a zero point of 128 wastes nearly half of the steps and makes nearly
every stored value large, which saturates on CPUs without VNNI: YOLOv5n has AP .10 there, and .27 with asymmetric
activations. Uint8: OpenVINO 2026.4 computes int8 activations wrongly on CPUs with VNNI and without AMX: AP .007 instead
of .30 (docs/check-foreign.md). Uint8 is right there with every zero point that was tried; on CPUs with AMX only NNCF's
files were measured, whose activations are asymmetric uint8 too.

An average pool that counts zeros around its input is wrong at the border unless the zero point is 0
(pytorch/pytorch#28260 is the same fault elsewhere). On a single thread, a fully connected layer without a bias that
reads what another one without a bias has stored in integers gives numbers of any size.

The last convolutions stay float: on the 343 pictures that YOLOv5n was calibrated with, AP is .2651 so and .2639 with
them in int8 (float .2682), for 7 % of the time."""

CONVERTER = QdqConverter(OPENVINO)
