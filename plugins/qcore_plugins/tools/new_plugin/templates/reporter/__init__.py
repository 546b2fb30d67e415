"""A reporter: Markdown."""

from collections.abc import Iterator

from qcore.plugin import hookimpl
from qcore_kit.kinds import ReporterSpec

qcore_api = "1"


@hookimpl
def qcore_reporters() -> Iterator[ReporterSpec]:
    """The reporter `mynet`."""
    yield ReporterSpec(
        name="mynet", summary="Verdict and tables as Markdown", factory="qcore_mynet.component:Mynet", suffix=".md"
    )
