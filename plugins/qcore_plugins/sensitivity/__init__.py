"""Which layers lose most when they are quantized."""

from collections.abc import Iterator

import qcore


@qcore.hookimpl
def qcore_analyzers() -> Iterator[qcore.AnalyzerSpec]:
    """The analyzer `noise`."""
    yield qcore.AnalyzerSpec(
        name="noise",
        summary="Ranks layers by the signal-to-noise ratio of what they make, in int8 against float",
        target="qcore_plugins.sensitivity.noise:Noise",
        requires=(
            qcore.Requirement("onnx", "onnx", ">=1.17"),
            qcore.Requirement("onnxruntime", "onnxruntime", ">=1.20"),
        ),
        accepts=(qcore.Form("onnx", encoding="float"),),
        options=(qcore.Option("inputs", "how many inputs to measure with, after the ranges are known", 32, int),),
    )
