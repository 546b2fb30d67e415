"""Float models run by PyTorch itself: the reference that exports are measured against."""

from collections.abc import Iterator

from qcore.plugin import BackendSpec, Form, Option, Requirement, hookimpl

qcore_api = "1"


@hookimpl
def qcore_backends() -> Iterator[BackendSpec]:
    """The backend `torch`."""
    yield BackendSpec(
        name="torch",
        summary="PyTorch, for the float model as loaded",
        factory="qcore_plugins.runtimes.torch.backend:TorchBackend",
        requires=(Requirement("torch", "torch", extra="torch"),),
        runs="torch",
        accepts=(Form("torch", encoding="float"),),
        options=(Option("threads", "CPU threads; 0 leaves the framework's own choice", 0, int),),
    )
