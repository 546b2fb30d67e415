"""PyTorch checkpoint files, read without running anything in them."""

from collections.abc import Iterator

import qcore


@qcore.hookimpl
def qcore_formats() -> Iterator[qcore.FormatSpec]:
    """The format `checkpoint`."""
    yield qcore.FormatSpec(
        name="checkpoint",
        summary="PyTorch checkpoints (.pt, .pth), opened without executing code from the file",
        target="qcore_plugins.checkpoint.format:CheckpointFormat",
        requires=(qcore.Requirement("torch", "torch", ">=2.10", extra="torch"),),
    )
