"""Profiles: how a runtime wants a quantized graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qcore.plugin import DISTRIBUTION, Host
from qcore_kit.kinds import ProfileSpec


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


def bundled(host: Host | None = None) -> list[Profile]:
    """The profiles that come with qcore: what a calibration prepares a table for.

    One that somebody else's plugin brings changes no calibration and no training: a table is written under it only
    where it is asked for.

    Args:
        host: Where profiles are registered; the process's own by default.
    """
    if host is None:
        import qcore

        host = qcore.plugins
    own = [spec for spec in host.specs(ProfileSpec) if spec.distribution == DISTRIBUTION]
    converters: list[Any] = [spec.create() for spec in own]
    return [converter.profile for converter in converters]
