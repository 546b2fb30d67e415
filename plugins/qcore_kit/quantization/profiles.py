"""Profiles: how a runtime wants a quantized graph."""

from __future__ import annotations

from dataclasses import dataclass

from qcore_kit.quantization.operations import COUNTING_PADS, ROUNDING_UP, STACKED, WITHOUT_BIAS


@dataclass(frozen=True)
class Profile:
    """What a runtime needs to compute in integers, and what it computes right.

    Attributes:
        name: As it stands in contracts.
        activation: Integer type of activations, `u8` or `s8`.
        symmetric: Whether the zero point is the middle of that type.
        every_output: Quantize what every operation makes, not only what weighted operations and sums read.
        whole_silu: Leave nothing between x, sigmoid(x) and their product.
        share_concat: One scale for all branches of a concatenation.
        share_add: One scale for both branches of a sum.
        last_layer: Quantize the last weighted operations before the decode.
        integer_bias: Store biases as int32 in units of input scale times weight scale.
        half: Store what is not quantized, but for the decode, as float16.
        float_variants: Operations that the runtime computes wrong in integers, as `operations.variants` calls them.
        saturates_like: Runtime, of `products.KERNELS`, as which this one adds int8 products on CPUs without VNNI; empty
            for one that adds exactly.
    """

    name: str
    activation: str
    symmetric: bool
    every_output: bool
    whole_silu: bool
    share_concat: bool
    share_add: bool
    last_layer: bool
    integer_bias: bool
    half: bool = False
    float_variants: frozenset[str] = frozenset()
    saturates_like: str = ""


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

TENSORRT = Profile(
    name="tensorrt",
    activation="s8",
    symmetric=True,
    every_output=False,
    whole_silu=True,
    share_concat=True,
    share_add=True,
    last_layer=False,
    integer_bias=False,
    half=True,
)
"""TensorRT takes int8 around 0 only, and from version 11 on runs everything else in the types that the file has.

The last convolutions are float16: after training YOLOv5n for the three profiles, its file on the 343 pictures has AP
.2636 so and .2615 with them in int8, computed by ONNX Runtime."""

PROFILES = {profile.name: profile for profile in (ONNXRUNTIME, OPENVINO, TENSORRT)}
