"""A backend: the evaluator of the onnx package, in plain NumPy."""

from collections.abc import Iterator

from qcore.plugin import BackendSpec, Form, Requirement, hookimpl

qcore_api = "1"


@hookimpl
def qcore_backends() -> Iterator[BackendSpec]:
    """The backend `mynet`."""
    yield BackendSpec(
        name="mynet",
        summary="onnx.reference: slow and exact",
        factory="qcore_mynet.component:Mynet",
        requires=(Requirement("onnx", "onnx", ">=1.17"),),
        accepts=(Form("onnx", encoding="float"),),
    )
