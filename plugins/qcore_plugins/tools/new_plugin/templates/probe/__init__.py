"""A probe: inner tensors of ONNX graphs, by the evaluator of the onnx package."""

from collections.abc import Iterator

from qcore.plugin import Form, Requirement, hookimpl
from qcore_kit.kinds import ProbeSpec

qcore_api = "1"


@hookimpl
def qcore_probes() -> Iterator[ProbeSpec]:
    """The probe `mynet`."""
    yield ProbeSpec(
        name="mynet",
        summary="Inside ONNX graphs, by onnx.reference",
        factory="qcore_mynet.component:Mynet",
        requires=(Requirement("onnx", "onnx", ">=1.17"),),
        accepts=(Form("onnx", encoding="float"),),
    )
