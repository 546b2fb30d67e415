"""ONNX files, and the one exporter from PyTorch."""

from collections.abc import Iterator

import qcore
from qcore_plugins.layers.options import DESCRIBING

_ONNX = qcore.Requirement("onnx", "onnx", ">=1.17")
_EXPORT = (
    qcore.Requirement("torch", "torch", ">=2.10", extra="torch"),
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
def qcore_loaders() -> Iterator[qcore.LoaderSpec]:
    """The loader `onnx`, for files without a contract."""
    yield qcore.LoaderSpec(
        name="onnx",
        summary="Detectors that exist only as an ONNX file from elsewhere, cut to the raw model where need be",
        target="qcore_plugins.onnx.loader:OnnxLoader",
        requires=(_ONNX,),
        format="onnx",
        produces=qcore.Form("onnx", encoding="float", precision="f32"),
        options=(
            *DESCRIBING,
            qcore.Option("input", "tensor to cut at: the picture as the raw model takes it"),
            qcore.Option("output", "tensors to cut at, separated by commas: what the raw model gives"),
        ),
    )


@qcore.hookimpl
def qcore_converters() -> Iterator[qcore.ConverterSpec]:
    """The converters `torch-onnx`, `onnx-fp16`, `onnx-fp32` and `onnx-nms`."""
    yield qcore.ConverterSpec(
        name="torch-onnx",
        summary="PyTorch module to ONNX: BatchNorm folded, constant shapes, checked against the module",
        target="qcore_plugins.onnx.convert:TorchToOnnx",
        requires=(_ONNX, *_EXPORT),
        accepts=(qcore.Form("torch", encoding="float"),),
        produces=qcore.Form("onnx"),
    )
    yield qcore.ConverterSpec(
        name="onnx-fp16",
        summary="The network in float16, its inputs, outputs and decode in float32",
        target="qcore_plugins.onnx.fp16:OnnxToFp16",
        requires=(_ONNX,),
        accepts=(qcore.Form("onnx", encoding="float", precision="f32"),),
        produces=qcore.Form("onnx", precision="f16"),
    )
    yield qcore.ConverterSpec(
        name="onnx-fp32",
        summary="A network in float16 with the same weights in float32, its inputs and outputs too",
        target="qcore_plugins.onnx.fp16:OnnxToFp32",
        requires=(_ONNX,),
        accepts=(qcore.Form("onnx", encoding="float", precision="f16"),),
        produces=qcore.Form("onnx", encoding="float", precision="f32"),
    )
    yield qcore.ConverterSpec(
        name="onnx-nms",
        summary="Non-maximum suppression into the graph: counts, boxes, scores, classes",
        target="qcore_plugins.onnx.nms:AppendNms",
        requires=(_ONNX,),
        accepts=(qcore.Form("onnx"),),
        produces=qcore.Form("onnx", head="nms"),
    )


@qcore.hookimpl
def qcore_probes() -> Iterator[qcore.ProbeSpec]:
    """The probe `onnx`."""
    yield qcore.ProbeSpec(
        name="onnx",
        summary="Inner tensors of ONNX graphs, computed by ONNX Runtime",
        target="qcore_plugins.onnx.probe:OnnxProbe",
        requires=(_ONNX, qcore.Requirement("onnxruntime", "onnxruntime", ">=1.20")),
        accepts=(qcore.Form("onnx"),),
    )
