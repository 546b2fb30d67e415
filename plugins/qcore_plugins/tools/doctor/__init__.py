"""What is installed, what is missing, and what that costs."""

from collections.abc import Iterator

from qcore.plugin import CommandSpec, hookimpl

qcore_api = "1"


@hookimpl
def qcore_commands() -> Iterator[CommandSpec]:
    """The command `doctor`."""
    yield CommandSpec(
        name="doctor",
        summary="show versions, hardware and missing packages, for bug reports",
        factory="qcore_plugins.tools.doctor.command:Doctor",
    )
