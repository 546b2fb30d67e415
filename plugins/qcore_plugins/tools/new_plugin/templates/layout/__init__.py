"""A layout: scores before corners."""

from collections.abc import Iterator

from qcore.plugin import hookimpl
from qcore_kit.kinds import LayoutSpec

qcore_api = "1"


@hookimpl
def qcore_layouts() -> Iterator[LayoutSpec]:
    """The layout `mynet`."""
    yield LayoutSpec(
        name="mynet",
        summary="[B, N, classes + 4], scores, then left, top, right, bottom",
        factory="qcore_mynet.component:Mynet",
        matches=(("mynet", "decoded"),),
    )
