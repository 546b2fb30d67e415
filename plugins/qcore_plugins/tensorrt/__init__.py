"""TensorRT: converter from ONNX to an engine, format of engines, backend that runs them."""

from collections.abc import Iterator

import qcore

_TENSORRT = qcore.Requirement(
    "tensorrt",
    "tensorrt",
    ">=10",
    extra="tensorrt",
    instead=(qcore.Requirement("tensorrt_rtx", "tensorrt-rtx", ">=1.2", extra="tensorrt-rtx"),),
)
_TORCH = qcore.Requirement("torch", "torch", ">=2.10", extra="torch")
_ONNX = qcore.Requirement("onnx", "onnx", ">=1.17")


@qcore.hookimpl
def qcore_formats() -> Iterator[qcore.FormatSpec]:
    """The format `tensorrt`."""
    yield qcore.FormatSpec(
        name="tensorrt",
        summary="TensorRT engines; the contract lies beside them, in FILE.engine.qcore.json",
        target="qcore_plugins.tensorrt.format:EngineFormat",
        suffix=".engine",
    )


@qcore.hookimpl
def qcore_converters() -> Iterator[qcore.ConverterSpec]:
    """The converter `onnx-tensorrt`: float, or int8 around 0, which is all that TensorRT takes."""
    yield qcore.ConverterSpec(
        name="onnx-tensorrt",
        summary="ONNX to a TensorRT engine, built in a process of its own; INT8 and FP16 are those of the file",
        target="qcore_plugins.tensorrt.convert:OnnxToTensorRt",
        requires=(_TENSORRT, _ONNX),
        accepts=(
            qcore.Form("onnx", encoding="float"),
            qcore.Form("onnx", encoding="qdq", activation="s8", symmetric=True),
        ),
        produces=qcore.Form("tensorrt"),
        options=(
            qcore.Option(
                "compute_capability",
                "build for these GPUs, e.g. 8.9 or 8.6,8.9, instead of this machine's",
                (),
                tuple,
            ),
            qcore.Option("batch_range", "smallest, usual and largest batch of a dynamic batch", (1, 1, 8), tuple),
            qcore.Option("workspace", "most memory that a layer may use while it runs, in MiB; 0 for no limit", 0, int),
            qcore.Option("timing_cache", "file that keeps the builder's timings; made where there is none", None, str),
            qcore.Option("verbose", "show the builder's whole log", False, bool),
            qcore.Option("package", "which TensorRT", "auto", str, ("auto", "tensorrt", "tensorrt_rtx")),
        ),
    )


@qcore.hookimpl
def qcore_linters() -> Iterator[qcore.LinterSpec]:
    """The linter `tensorrt`."""
    yield qcore.LinterSpec(
        name="tensorrt",
        summary="TensorRT's own parser and builder, as a judge",
        target="qcore_plugins.tensorrt.judge:TensorRtLinter",
        requires=(_TENSORRT, _ONNX),
        targets=("tensorrt",),
        format="onnx",
    )


@qcore.hookimpl
def qcore_backends() -> Iterator[qcore.BackendSpec]:
    """The backend `tensorrt`."""
    yield qcore.BackendSpec(
        name="tensorrt",
        summary="TensorRT, or TensorRT for RTX, on an NVIDIA GPU",
        target="qcore_plugins.tensorrt.backend:TensorRtBackend",
        snippet="qcore_plugins.tensorrt.snippet:source",
        requires=(_TENSORRT, _TORCH),
        accepts=(
            qcore.Form("tensorrt", encoding="qdq", profile="tensorrt"),
            qcore.Form("tensorrt", encoding="float"),
            qcore.Form("tensorrt", encoding="qdq"),
        ),
        options=(qcore.Option("device", "index of the GPU", 0, int),),
    )
