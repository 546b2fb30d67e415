"""A preprocessor: tables of numbers in text files."""

from collections.abc import Iterator

from qcore.plugin import PreprocessorSpec, hookimpl

qcore_api = "1"


@hookimpl
def qcore_preprocessors() -> Iterator[PreprocessorSpec]:
    """The preprocessor `mynet`."""
    yield PreprocessorSpec(name="mynet", summary="Tables of numbers, scaled", factory="qcore_mynet.component:Mynet")
