"""An analyzer: layers whose weights are spread widest lose most in eight bits."""

from collections.abc import Iterator

from qcore.plugin import Form, Requirement, hookimpl
from qcore_kit.kinds import AnalyzerSpec

qcore_api = "1"


@hookimpl
def qcore_analyzers() -> Iterator[AnalyzerSpec]:
    """The analyzer `mynet`."""
    yield AnalyzerSpec(
        name="mynet",
        summary="Layers by the spread of their weights, without any data",
        factory="qcore_mynet.component:Mynet",
        requires=(Requirement("onnx", "onnx", ">=1.17"),),
        accepts=(Form("onnx", encoding="float"),),
    )
