"""A result: what people and files get of a task's results."""

from collections.abc import Iterator

from qcore.plugin import hookimpl
from qcore_kit.kinds import ResultSpec

qcore_api = "1"


@hookimpl
def qcore_results() -> Iterator[ResultSpec]:
    """The result `mynet`."""
    yield ResultSpec(
        name="mynet",
        summary="Class and probability, as text",
        factory="qcore_mynet.component:Mynet",
        task="mynet-classification",
        suffix=".txt",
    )
