"""Scale tables as files: what a quantizer found out, kept apart from any runtime."""

from collections.abc import Iterator

from qcore.plugin import FormatSpec, Requirement, hookimpl

qcore_api = "1"


@hookimpl
def qcore_formats() -> Iterator[FormatSpec]:
    """The format `table`."""
    yield FormatSpec(
        name="table",
        summary="A float ONNX graph with its scale table; qcore export makes each runtime's file of it",
        factory="qcore_plugins.formats.scale_table.format:TableFormat",
        suffix=".qtable",
        requires=(Requirement("onnx", "onnx", ">=1.17"),),
    )
