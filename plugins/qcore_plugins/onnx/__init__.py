"""ONNX files, and the one exporter from PyTorch."""

from collections.abc import Iterator

import qcore

_ONNX = qcore.Requirement("onnx", "onnx", ">=1.17")
_EXPORT = (
    qcore.Requirement("torch", "torch", ">=2.6", extra="torch"),
    qcore.Requirement("onnxscript", "onnxscript", extra="torch"),
    qcore.Requirement("onnxruntime", "onnxruntime", ">=1.20"),
)


@qcore.hookimpl
def qcore_formats() -> Iterator[qcore.FormatSpec]:
    """The format `onnx`."""
    yield qcore.FormatSpec(
        name="onnx",
        summary="ONNX files; the contract lies in metadata_props",
        target="qcore_plugins.onnx.format:OnnxFormat",
        suffix=".onnx",
        requires=(_ONNX,),
    )


@qcore.hookimpl
def qcore_converters() -> Iterator[qcore.ConverterSpec]:
    """The converter `torch-onnx`."""
    yield qcore.ConverterSpec(
        name="torch-onnx",
        summary="PyTorch module to ONNX: BatchNorm folded, constant shapes, checked against the module",
        target="qcore_plugins.onnx.export:TorchToOnnx",
        requires=(_ONNX, *_EXPORT),
        accepts=(qcore.Form("torch", encoding="float"),),
        produces=qcore.Form("onnx"),
    )
