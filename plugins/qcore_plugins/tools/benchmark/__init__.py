"""Files timed side by side, each in a process of its own."""

from collections.abc import Iterator

from qcore.plugin import CommandSpec, hookimpl

qcore_api = "1"


@hookimpl
def qcore_commands() -> Iterator[CommandSpec]:
    """The command `benchmark`."""
    yield CommandSpec(
        name="benchmark",
        summary="compare the speed of model files",
        factory="qcore_plugins.tools.benchmark.command:Benchmark",
    )
