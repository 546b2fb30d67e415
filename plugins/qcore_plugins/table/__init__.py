"""Scale tables as files: what a quantizer found out, kept apart from any runtime."""

from collections.abc import Iterator

import qcore


@qcore.hookimpl
def qcore_formats() -> Iterator[qcore.FormatSpec]:
    """The format `table`."""
    yield qcore.FormatSpec(
        name="table",
        summary="A float ONNX graph with its scale table; qcore export makes each runtime's file of it",
        target="qcore_plugins.table.format:TableFormat",
        suffix=".qtable",
        requires=(qcore.Requirement("onnx", "onnx", ">=1.17"),),
    )
