"""ONNX Runtime: a backend, and a quantizer that calibrates into a scale table."""

from collections.abc import Iterator

from qcore.plugin import BackendSpec, Form, Option, QuantizerSpec, Requirement, hookimpl
from qcore_kit.machine import CPUS
from qcore_kit.quantization.options import LEAVING_FLOAT, SATURATION

_RUNTIME = Requirement("onnxruntime", "onnxruntime", ">=1.20")
_ONNX = Requirement("onnx", "onnx", ">=1.17")


@hookimpl
def qcore_backends() -> Iterator[BackendSpec]:
    """The backend `onnxruntime`."""
    yield BackendSpec(
        name="onnxruntime",
        summary="ONNX Runtime on the CPU",
        factory="qcore_plugins.runtimes.onnxruntime.backend:OnnxRuntimeBackend",
        snippet="qcore_plugins.runtimes.onnxruntime.snippet:source",
        requires=(_RUNTIME, _ONNX),
        accepts=(
            Form("onnx", encoding="qdq", profile="onnxruntime"),
            Form("onnx", encoding="float"),
            Form("onnx", encoding="qdq"),
            Form("onnx", encoding="native"),
        ),
        options=(
            Option("threads", "CPU threads; 0 leaves the runtime's own choice", 0, int),
            Option("cpu", "kind of CPU to compute as: avx2 is any without VNNI", CPUS[0], str, CPUS),
            Option(
                "x64quantprecision",
                "exact but slower int8 arithmetic on CPUs without VNNI (session.x64quantprecision)",
                False,
                bool,
            ),
        ),
    )


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
            Option(
                "method",
                "how ranges are taken from the pictures",
                "percentile",
                str,
                ("percentile", "moving-average", "minmax"),
            ),
        ),
    )
