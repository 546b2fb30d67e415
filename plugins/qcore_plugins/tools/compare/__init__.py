"""What differs between two models that should do the same: a ladder from contracts to accuracy."""

from collections.abc import Iterator

from qcore.plugin import CommandSpec, hookimpl

qcore_api = "1"


@hookimpl
def qcore_commands() -> Iterator[CommandSpec]:
    """The command `compare`."""
    yield CommandSpec(
        name="compare",
        summary="find where a file diverges from the model it was made from",
        factory="qcore_plugins.tools.compare.command:Compare",
    )
