"""`qcore demo`: the main job on a small detector that ships with the package."""

from collections.abc import Iterator

from qcore.plugin import CommandSpec, hookimpl

qcore_api = "1"


@hookimpl
def qcore_commands() -> Iterator[CommandSpec]:
    """The command `demo`."""
    yield CommandSpec(
        name="demo",
        summary="quantize the detector that ships with qcore two ways; print what that costs and gains",
        factory="qcore_plugins.tools.demo.command:Demo",
    )
