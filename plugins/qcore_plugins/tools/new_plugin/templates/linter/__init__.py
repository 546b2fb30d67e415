"""A linter: what one device takes."""

from collections.abc import Iterator

from qcore.plugin import hookimpl
from qcore_kit.kinds import LinterSpec

qcore_api = "1"


@hookimpl
def qcore_linters() -> Iterator[LinterSpec]:
    """The linter `mynet`."""
    yield LinterSpec(name="mynet", summary="What the device Mynet takes", factory="qcore_mynet.component:Mynet")
