"""A quantizer that calibrates on ONNX Runtime into a scale table."""

from collections.abc import Iterator

from qcore.plugin import Form, Option, QuantizerSpec, Requirement, hookimpl
from qcore_kit.quantization.options import CALIBRATED, LEAVING_FLOAT, SATURATION

qcore_api = "1"

_RUNTIME = Requirement("onnxruntime", "onnxruntime", ">=1.20")
_ONNX = Requirement("onnx", "onnx", ">=1.17")


@hookimpl
def qcore_quantizers() -> Iterator[QuantizerSpec]:
    """The quantizer `onnxruntime`."""
    yield QuantizerSpec(
        name="onnxruntime",
        summary="Calibrates every candidate tensor on ONNX Runtime into a scale table",
        factory="qcore_plugins.quantizers.onnxruntime.quantizer:OnnxRuntimeQuantizer",
        requires=(_RUNTIME, _ONNX),
        accepts=(Form("onnx", encoding="float", precision="f32"),),
        produces=Form("table", encoding="ranges"),
        options=(
            *LEAVING_FLOAT,
            SATURATION,
            CALIBRATED,
            Option(
                "method",
                "how ranges are taken from the pictures",
                "percentile",
                str,
                ("percentile", "moving-average", "minmax"),
            ),
        ),
    )
