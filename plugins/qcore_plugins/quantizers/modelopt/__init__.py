"""modelopt: the maintained successor of pytorch-quantization, on the same seam."""

from collections.abc import Iterator

from qcore.plugin import Form, QuantizerSpec, Requirement, hookimpl
from qcore_kit.quantization.options import CALIBRATED, CALIBRATING, LEAVING_FLOAT, SATURATION, TRAINING
from qcore_plugins._shared.fakequant import REQUIRES

qcore_api = "1"

_REQUIRES = (
    Requirement("modelopt", "nvidia-modelopt", ">=0.40", extra="modelopt"),
    Requirement("huggingface_hub", "huggingface_hub", extra="modelopt"),
    *REQUIRES,
)


@hookimpl
def qcore_quantizers() -> Iterator[QuantizerSpec]:
    """The quantizer `modelopt`."""
    yield QuantizerSpec(
        name="modelopt",
        summary="NVIDIA modelopt's quantizers in the PyTorch network, calibrated or trained, into a scale table",
        factory="qcore_plugins.quantizers.modelopt.quantizer:Modelopt",
        requires=_REQUIRES,
        trains=True,
        accepts=(Form("torch", encoding="float"),),
        produces=Form("table", encoding="ranges"),
        options=(*LEAVING_FLOAT, SATURATION, CALIBRATED, *CALIBRATING, *TRAINING),
    )
