"""ONNX Runtime: a backend, and a quantizer that calibrates into a scale table."""

from collections.abc import Iterator

import qcore
from qcore.machine import CPUS
from qcore_plugins.quantization.options import LEAVING_FLOAT, SATURATION

_RUNTIME = qcore.Requirement("onnxruntime", "onnxruntime", ">=1.20")
_ONNX = qcore.Requirement("onnx", "onnx", ">=1.17")


@qcore.hookimpl
def qcore_backends() -> Iterator[qcore.BackendSpec]:
    """The backend `onnxruntime`."""
    yield qcore.BackendSpec(
        name="onnxruntime",
        summary="ONNX Runtime on the CPU",
        target="qcore_plugins.onnxruntime.backend:OnnxRuntimeBackend",
        snippet="qcore_plugins.onnxruntime.snippet:source",
        requires=(_RUNTIME, _ONNX),
        accepts=(
            qcore.Form("onnx", encoding="qdq", profile="onnxruntime"),
            qcore.Form("onnx", encoding="float"),
            qcore.Form("onnx", encoding="qdq"),
            qcore.Form("onnx", encoding="native"),
        ),
        options=(
            qcore.Option("threads", "CPU threads; 0 leaves the runtime's own choice", 0, int),
            qcore.Option("cpu", "kind of CPU to compute as: avx2 is any without VNNI", CPUS[0], str, CPUS),
            qcore.Option(
                "x64quantprecision",
                "exact but slower int8 arithmetic on CPUs without VNNI (session.x64quantprecision)",
                False,
                bool,
            ),
        ),
    )


@qcore.hookimpl
def qcore_quantizers() -> Iterator[qcore.QuantizerSpec]:
    """The quantizer `onnxruntime`."""
    yield qcore.QuantizerSpec(
        name="onnxruntime",
        summary="Calibrates every candidate tensor on ONNX Runtime into a scale table",
        target="qcore_plugins.onnxruntime.quantizer:OnnxRuntimeQuantizer",
        requires=(_RUNTIME, _ONNX),
        accepts=(qcore.Form("onnx", encoding="float", precision="f32"),),
        produces=qcore.Form("table", encoding="ranges"),
        options=(
            *LEAVING_FLOAT,
            SATURATION,
            qcore.Option(
                "method",
                "how ranges are taken from the pictures",
                "percentile",
                str,
                ("percentile", "moving-average", "minmax"),
            ),
        ),
    )
