"""A converter: from ONNX graphs to the names and values of their weights."""

from collections.abc import Iterator

from qcore.plugin import ConverterSpec, Form, Requirement, hookimpl

qcore_api = "1"


@hookimpl
def qcore_converters() -> Iterator[ConverterSpec]:
    """The converter `mynet`."""
    yield ConverterSpec(
        name="mynet",
        summary="ONNX to the weights by name",
        factory="qcore_mynet.component:Mynet",
        requires=(Requirement("onnx", "onnx", ">=1.17"),),
        accepts=(Form("onnx", encoding="float"),),
        produces=Form("mynet"),
    )
