"""A qcore backend on `onnx.reference`."""

from collections.abc import Iterator

from qcore.plugin import BackendSpec, Form, Requirement, hookimpl

qcore_api = "1"


@hookimpl
def qcore_backends() -> Iterator[BackendSpec]:
    """The backend `onnx-reference`."""
    yield BackendSpec(
        name="onnx-reference",
        summary="onnx.reference: plain NumPy, slow and exact, the judge when two runtimes disagree",
        factory="qcore_onnx_reference.backend:ReferenceBackend",
        requires=(Requirement("onnx", "onnx", ">=1.17"),),
        accepts=(Form("onnx", encoding="float"), Form("onnx", encoding="qdq")),
    )
