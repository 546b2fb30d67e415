"""Packages of plugins: written, and checked."""

from collections.abc import Iterator

from qcore.plugin import CommandSpec, hookimpl

qcore_api = "1"


@hookimpl
def qcore_commands() -> Iterator[CommandSpec]:
    """The commands `new-plugin` and `check-plugin`."""
    yield CommandSpec(
        name="new-plugin",
        summary="write a package with a plugin that works, as a start for yours",
        factory="qcore_plugins.tools.new_plugin.command:NewPlugin",
    )
    yield CommandSpec(
        name="check-plugin",
        summary="check the components of a plugin against what qcore expects of them",
        factory="qcore_plugins.tools.new_plugin.checking:CheckPlugin",
    )
