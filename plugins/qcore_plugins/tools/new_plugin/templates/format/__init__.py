"""A format: tables of numbers as JSON with the contract beside them."""

from collections.abc import Iterator

from qcore.plugin import FormatSpec, hookimpl

qcore_api = "1"


@hookimpl
def qcore_formats() -> Iterator[FormatSpec]:
    """The format `mynet`."""
    yield FormatSpec(
        name="mynet", summary="JSON files of Mynet", factory="qcore_mynet.component:Mynet", suffix=".mynet"
    )
