"""A qcore backend on `onnx.reference`."""

from collections.abc import Iterator

import qcore


@qcore.hookimpl
def qcore_backends() -> Iterator[qcore.BackendSpec]:
    """The backend `onnx-reference`."""
    yield qcore.BackendSpec(
        name="onnx-reference",
        summary="onnx.reference: plain NumPy, slow and exact, the judge when two runtimes disagree",
        target="qcore_onnx_reference.backend:ReferenceBackend",
        requires=(qcore.Requirement("onnx", "onnx", ">=1.17"),),
        accepts=(qcore.Form("onnx", encoding="float"), qcore.Form("onnx", encoding="qdq")),
    )
