"""A command: what goes into a model and comes out, in a line each."""

from collections.abc import Iterator

from qcore.plugin import CommandSpec, hookimpl

qcore_api = "1"


@hookimpl
def qcore_commands() -> Iterator[CommandSpec]:
    """The command `mynet`."""
    yield CommandSpec(name="mynet", summary="show the tensors of a model", factory="qcore_mynet.component:Mynet")
