"""Float models run by PyTorch itself: the reference that exports are measured against."""

from collections.abc import Iterator

import qcore


@qcore.hookimpl
def qcore_backends() -> Iterator[qcore.BackendSpec]:
    """The backend `torch`."""
    yield qcore.BackendSpec(
        name="torch",
        summary="PyTorch, for the float model as loaded",
        target="qcore_plugins.pytorch.backend:TorchBackend",
        requires=(qcore.Requirement("torch", "torch", extra="torch"),),
        accepts=(qcore.Form("torch", encoding="float"),),
        options=(qcore.Option("threads", "CPU threads; 0 leaves the framework's own choice", 0, int),),
    )
