"""PyTorch checkpoint files, read without running anything in them."""

from collections.abc import Iterator

from qcore.plugin import FormatSpec, Requirement, hookimpl

qcore_api = "1"


@hookimpl
def qcore_formats() -> Iterator[FormatSpec]:
    """The format `checkpoint`."""
    yield FormatSpec(
        name="checkpoint",
        summary="PyTorch checkpoints (.pt, .pth), opened without executing code from the file",
        factory="qcore_plugins.formats.checkpoint.format:CheckpointFormat",
        requires=(Requirement("torch", "torch", ">=2.10", extra="torch"),),
    )
