"""A loader: files of linear classifiers, to ONNX graphs that every quantizer and runtime takes."""

from collections.abc import Iterator

from qcore.plugin import Form, FormatSpec, LoaderSpec, Option, Requirement, hookimpl

qcore_api = "1"


@hookimpl
def qcore_formats() -> Iterator[FormatSpec]:
    """The format that the loader reads."""
    yield FormatSpec(name="mynet", summary="JSON files of Mynet", factory="qcore_mynet.component:MynetFormat")


@hookimpl
def qcore_loaders() -> Iterator[LoaderSpec]:
    """The loader `mynet`."""
    yield LoaderSpec(
        name="mynet",
        summary="Reads linear classifiers of Mynet",
        factory="qcore_mynet.component:MynetLoader",
        requires=(Requirement("onnx", "onnx", ">=1.17"),),
        format="mynet",
        produces=Form("onnx", encoding="float", precision="f32"),
        options=(Option("scale", "factor on all scores", 1.0, float),),
    )
