"""An observer: a line for each command, in a log."""

from collections.abc import Iterator
from pathlib import Path

from qcore.plugin import Option, hookimpl
from qcore_kit.kinds import ObserverSpec

qcore_api = "1"


@hookimpl
def qcore_observers() -> Iterator[ObserverSpec]:
    """The observer `mynet`; it takes part where its option is given."""
    yield ObserverSpec(
        name="mynet",
        summary="Adds a line about each command to a file",
        factory="qcore_mynet.component:Mynet",
        options=(Option("mynet", "add a line about this command to a file", None, Path),),
    )
