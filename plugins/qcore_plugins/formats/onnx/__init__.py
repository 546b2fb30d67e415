"""ONNX files, and the one exporter from PyTorch."""

from collections.abc import Iterator

from qcore.plugin import ConverterSpec, Form, FormatSpec, LoaderSpec, Option, Requirement, hookimpl
from qcore_kit.detectors.options import DESCRIBING

qcore_api = "1"

_ONNX = Requirement("onnx", "onnx", ">=1.17")
_EXPORT = (
    Requirement("torch", "torch", ">=2.10", extra="torch"),
    Requirement("onnxscript", "onnxscript", extra="torch"),
    Requirement("onnxruntime", "onnxruntime", ">=1.20"),
)


@hookimpl
def qcore_formats() -> Iterator[FormatSpec]:
    """The format `onnx`."""
    yield FormatSpec(
        name="onnx",
        summary="ONNX files; the contract lies in metadata_props",
        factory="qcore_plugins.formats.onnx.format:OnnxFormat",
        suffix=".onnx",
        requires=(_ONNX,),
    )


@hookimpl
def qcore_loaders() -> Iterator[LoaderSpec]:
    """The loader `onnx`, for files without a contract."""
    yield LoaderSpec(
        name="onnx",
        summary="Detectors that exist only as an ONNX file from elsewhere, cut to the raw model where need be",
        factory="qcore_plugins.formats.onnx.loader:OnnxLoader",
        requires=(_ONNX,),
        format="onnx",
        produces=Form("onnx", encoding="float", precision="f32"),
        options=(
            *DESCRIBING,
            Option("input", "tensor to cut at: the picture as the raw model takes it"),
            Option("output", "tensors to cut at, separated by commas: what the raw model gives"),
        ),
    )


@hookimpl
def qcore_converters() -> Iterator[ConverterSpec]:
    """The converters `torch-onnx`, `onnx-fp16`, `onnx-fp32` and `onnx-nms`."""
    yield ConverterSpec(
        name="torch-onnx",
        summary="PyTorch module to ONNX: BatchNorm folded, constant shapes, checked against the module",
        factory="qcore_plugins.formats.onnx.convert:TorchToOnnx",
        requires=(_ONNX, *_EXPORT),
        accepts=(Form("torch", encoding="float"),),
        produces=Form("onnx"),
    )
    yield ConverterSpec(
        name="onnx-fp16",
        summary="The network in float16, its inputs, outputs and decode in float32",
        factory="qcore_plugins.formats.onnx.fp16:OnnxToFp16",
        requires=(_ONNX,),
        accepts=(Form("onnx", encoding="float", precision="f32"),),
        produces=Form("onnx", precision="f16"),
    )
    yield ConverterSpec(
        name="onnx-fp32",
        summary="A network in float16 with the same weights in float32, its inputs and outputs too",
        factory="qcore_plugins.formats.onnx.fp16:OnnxToFp32",
        requires=(_ONNX,),
        accepts=(Form("onnx", encoding="float", precision="f16"),),
        produces=Form("onnx", encoding="float", precision="f32"),
    )
    yield ConverterSpec(
        name="onnx-nms",
        summary="Non-maximum suppression into the graph: counts, boxes, scores, classes",
        factory="qcore_plugins.processing.boxes.suppression:AppendNms",
        requires=(_ONNX,),
        accepts=(Form("onnx"),),
        produces=Form("onnx", head="nms"),
    )
