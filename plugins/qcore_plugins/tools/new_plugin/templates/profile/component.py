"""The profile `mynet`."""

from __future__ import annotations

from qcore_kit.quantization.profiles import Profile
from qcore_kit.quantization.qdq import QdqConverter

PROFILE = Profile(
    "mynet",
    activation="u8",
    symmetric=False,
    every_output=False,
    whole_silu=True,
    share_concat=True,
    share_add=False,
    last_layer=False,
    integer_bias=False,
)
"""What the runtime needs to compute in integers; see `Profile` for each."""


class Mynet(QdqConverter):
    """Writes scale tables under the profile."""

    def __init__(self) -> None:
        super().__init__(PROFILE)
