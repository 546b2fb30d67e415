"""modelopt: the maintained successor of pytorch-quantization, on the same seam."""

from collections.abc import Iterator

import qcore
from qcore_plugins.fakequant import REQUIRES
from qcore_plugins.quantization.options import CALIBRATING, LEAVING_FLOAT, SATURATION, TRAINING

_REQUIRES = (
    qcore.Requirement("modelopt", "nvidia-modelopt", ">=0.40", extra="modelopt"),
    qcore.Requirement("huggingface_hub", "huggingface_hub", extra="modelopt"),
    *REQUIRES,
)


@qcore.hookimpl
def qcore_quantizers() -> Iterator[qcore.QuantizerSpec]:
    """The quantizer `modelopt`."""
    yield qcore.QuantizerSpec(
        name="modelopt",
        summary="NVIDIA modelopt's quantizers in the PyTorch network, calibrated or trained, into a scale table",
        target="qcore_plugins.modelopt.quantizer:Modelopt",
        requires=_REQUIRES,
        accepts=(qcore.Form("torch", encoding="float"),),
        produces=qcore.Form("table", encoding="ranges"),
        options=(*LEAVING_FLOAT, SATURATION, *CALIBRATING, *TRAINING),
    )
