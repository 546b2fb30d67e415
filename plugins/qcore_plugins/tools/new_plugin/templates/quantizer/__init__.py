"""A quantizer: ranges from the smallest to the largest value that the calibration inputs show."""

from collections.abc import Iterator

from qcore.plugin import Form, QuantizerSpec, Requirement, hookimpl
from qcore_kit.quantization.options import LEAVING_FLOAT

qcore_api = "1"


@hookimpl
def qcore_quantizers() -> Iterator[QuantizerSpec]:
    """The quantizer `mynet`."""
    yield QuantizerSpec(
        name="mynet",
        summary="Ranges from smallest to largest value, as a scale table",
        factory="qcore_mynet.component:Mynet",
        requires=(Requirement("onnx", "onnx", ">=1.17"), Requirement("onnxruntime", "onnxruntime", ">=1.20")),
        accepts=(Form("onnx", encoding="float", precision="f32"),),
        produces=Form("table", encoding="ranges"),
        options=LEAVING_FLOAT,
    )
