"""A profile: Q/DQ nodes as one runtime wants them."""

from collections.abc import Iterator

from qcore.plugin import Form, Requirement, hookimpl
from qcore_kit.kinds import ProfileSpec

qcore_api = "1"


@hookimpl
def qcore_profiles() -> Iterator[ProfileSpec]:
    """The profile `mynet`, for `--profile mynet`."""
    yield ProfileSpec(
        name="mynet",
        summary="Q/DQ with uint8 activations, the SiLU whole",
        factory="qcore_mynet.component:Mynet",
        requires=(Requirement("onnx", "onnx", ">=1.17"),),
        produces=Form("onnx", encoding="qdq", activation="u8", symmetric=False, precision="f32", profile="mynet"),
    )
