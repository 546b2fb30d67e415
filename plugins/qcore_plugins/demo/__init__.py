"""`qcore demo`: the main job on a small detector that ships with the package."""

from collections.abc import Iterator

import qcore


@qcore.hookimpl
def qcore_commands() -> Iterator[qcore.CommandSpec]:
    """The command `demo`."""
    yield qcore.CommandSpec(
        name="demo",
        summary="Quantize the bundled detector two ways, run it on two backends, print what it cost and gained",
        target="qcore_plugins.demo.command:Demo",
    )
