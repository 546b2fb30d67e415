"""A postprocessor: the most likely class and its probability."""

from collections.abc import Iterator

from qcore.plugin import PostprocessorSpec, hookimpl

qcore_api = "1"


@hookimpl
def qcore_postprocessors() -> Iterator[PostprocessorSpec]:
    """The postprocessor `mynet`."""
    yield PostprocessorSpec(
        name="mynet", summary="The most likely class, by softmax", factory="qcore_mynet.component:Mynet"
    )
