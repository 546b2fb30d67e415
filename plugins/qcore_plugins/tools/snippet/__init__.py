"""A script for one file that runs without qcore."""

from collections.abc import Iterator

from qcore.plugin import CommandSpec, hookimpl

qcore_api = "1"


@hookimpl
def qcore_commands() -> Iterator[CommandSpec]:
    """The command `snippet`."""
    yield CommandSpec(
        name="snippet",
        summary="print a standalone Python script that runs a model file without qcore",
        factory="qcore_plugins.tools.snippet.command:Snippet",
    )
