"""pytorch-quantization: post-training and quantization-aware, into a scale table."""

from collections.abc import Iterator

import qcore
from qcore_plugins.fakequant import REQUIRES
from qcore_plugins.quantization.options import CALIBRATING, LEAVING_FLOAT, SATURATION, TRAINING

_REQUIRES = (
    qcore.Requirement("pytorch_quantization", "pytorch-quantization", ">=2.1.3,<2.2", extra="pytorch-quantization"),
    *REQUIRES,
)


@qcore.hookimpl
def qcore_quantizers() -> Iterator[qcore.QuantizerSpec]:
    """The quantizer `pytorch-quantization`."""
    yield qcore.QuantizerSpec(
        name="pytorch-quantization",
        summary="NVIDIA's quantizers in the PyTorch network, calibrated or trained, into a scale table",
        target="qcore_plugins.pytorch_quantization.quantizer:PytorchQuantization",
        requires=_REQUIRES,
        accepts=(qcore.Form("torch", encoding="float"),),
        produces=qcore.Form("table", encoding="ranges"),
        options=(*LEAVING_FLOAT, SATURATION, *CALIBRATING, *TRAINING),
    )
