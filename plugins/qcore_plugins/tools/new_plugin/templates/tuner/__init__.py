"""A tuner: the first layers stay float."""

from collections.abc import Iterator

from qcore.plugin import Option, hookimpl
from qcore_kit.kinds import TunerSpec

qcore_api = "1"


@hookimpl
def qcore_tuners() -> Iterator[TunerSpec]:
    """The tuner `mynet`; it takes part where its option is given."""
    yield TunerSpec(
        name="mynet",
        summary="Leaves the first layers float",
        factory="qcore_mynet.component:Mynet",
        options=(Option("mynet_spare", "keep so many of the first layers in float", None, int),),
    )
