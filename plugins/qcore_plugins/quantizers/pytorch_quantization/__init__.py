"""pytorch-quantization: post-training and quantization-aware, into a scale table."""

from collections.abc import Iterator

from qcore.plugin import Form, QuantizerSpec, Requirement, hookimpl
from qcore_kit.quantization.options import CALIBRATED, CALIBRATING, LEAVING_FLOAT, SATURATION, TRAINING
from qcore_plugins._shared.fakequant import REQUIRES

qcore_api = "1"

_REQUIRES = (
    Requirement("pytorch_quantization", "pytorch-quantization", ">=2.1.3,<2.2", extra="pytorch-quantization"),
    *REQUIRES,
)


@hookimpl
def qcore_quantizers() -> Iterator[QuantizerSpec]:
    """The quantizer `pytorch-quantization`."""
    yield QuantizerSpec(
        name="pytorch-quantization",
        summary="NVIDIA's quantizers in the PyTorch network, calibrated or trained, into a scale table",
        factory="qcore_plugins.quantizers.pytorch_quantization.quantizer:PytorchQuantization",
        requires=_REQUIRES,
        trains=True,
        accepts=(Form("torch", encoding="float"),),
        produces=Form("table", encoding="ranges"),
        options=(*LEAVING_FLOAT, SATURATION, CALIBRATED, *CALIBRATING, *TRAINING),
    )
