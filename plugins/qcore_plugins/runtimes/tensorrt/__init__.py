"""TensorRT: converter from ONNX to an engine, format of engines, backend that runs them."""

from collections.abc import Iterator

from qcore.plugin import BackendSpec, ConverterSpec, Form, FormatSpec, Option, Requirement, hookimpl
from qcore_kit.kinds import LinterSpec, ProfileSpec

qcore_api = "1"

_TENSORRT = Requirement(
    "tensorrt",
    "tensorrt",
    ">=10",
    extra="tensorrt",
    instead=(Requirement("tensorrt_rtx", "tensorrt-rtx", ">=1.2", extra="tensorrt-rtx"),),
)
_TORCH = Requirement("torch", "torch", ">=2.10", extra="torch")
_ONNX = Requirement("onnx", "onnx", ">=1.17")


@hookimpl
def qcore_formats() -> Iterator[FormatSpec]:
    """The format `tensorrt`."""
    yield FormatSpec(
        name="tensorrt",
        summary="TensorRT engines; the contract lies beside them, in FILE.engine.qcore.json",
        factory="qcore_plugins.runtimes.tensorrt.format:EngineFormat",
        suffix=".engine",
    )


@hookimpl
def qcore_converters() -> Iterator[ConverterSpec]:
    """The converter `onnx-tensorrt`: float, or int8 around 0, which is all that TensorRT takes."""
    yield ConverterSpec(
        name="onnx-tensorrt",
        summary="ONNX to a TensorRT engine, built in a process of its own; INT8 and FP16 are those of the file",
        factory="qcore_plugins.runtimes.tensorrt.convert:OnnxToTensorRt",
        requires=(_TENSORRT, _ONNX),
        accepts=(
            Form("onnx", encoding="float"),
            Form("onnx", encoding="qdq", activation="s8", symmetric=True),
        ),
        produces=Form("tensorrt"),
        options=(
            Option(
                "compute_capability",
                "build for these GPUs, e.g. 8.9 or 8.6,8.9, instead of this machine's",
                (),
                tuple,
            ),
            Option("batch_range", "smallest, usual and largest size of a dynamic batch, e.g. 1,4,16", (1, 1, 8), tuple),
            Option("workspace", "memory limit of a layer while it runs, in MiB (default: 0, no limit)", 0, int),
            Option("timing_cache", "file that keeps the builder's timings; created if missing", None, str),
            Option("verbose", "show the full log of the builder", False, bool),
            Option(
                "package",
                "TensorRT package to build with: auto (default), tensorrt or tensorrt_rtx",
                "auto",
                str,
                ("auto", "tensorrt", "tensorrt_rtx"),
            ),
        ),
    )


@hookimpl
def qcore_linters() -> Iterator[LinterSpec]:
    """The linters `tensorrt` and `tensorrt-onnx`."""
    yield LinterSpec(
        name="tensorrt-onnx",
        summary="Q/DQ and operators in an ONNX graph, against what TensorRT does with them",
        factory="qcore_plugins.runtimes.tensorrt.linter:OnnxForTensorRtLinter",
        requires=(_ONNX,),
        targets=("tensorrt",),
        format="onnx",
    )
    yield LinterSpec(
        name="tensorrt",
        summary="Checks files with TensorRT's own parser and builder",
        factory="qcore_plugins.runtimes.tensorrt.linter:TensorRtLinter",
        requires=(_TENSORRT, _ONNX),
        targets=("tensorrt",),
        format="onnx",
    )


@hookimpl
def qcore_backends() -> Iterator[BackendSpec]:
    """The backend `tensorrt`."""
    yield BackendSpec(
        name="tensorrt",
        summary="TensorRT, or TensorRT for RTX, on an NVIDIA GPU",
        factory="qcore_plugins.runtimes.tensorrt.backend:TensorRtBackend",
        snippet="qcore_plugins.runtimes.tensorrt.snippet:source",
        requires=(_TENSORRT, _TORCH),
        runs="tensorrt",
        accepts=(
            Form("tensorrt", encoding="qdq", profile="tensorrt"),
            Form("tensorrt", encoding="float"),
            Form("tensorrt", encoding="qdq"),
        ),
        options=(Option("device", "index of the GPU", 0, int),),
    )


@hookimpl
def qcore_profiles() -> Iterator[ProfileSpec]:
    """The profile `tensorrt`."""
    yield ProfileSpec(
        name="tensorrt",
        summary="Writes a scale table as Q/DQ for tensorrt: SiLU whole, int8 around 0, the rest in float16",
        factory="qcore_plugins.runtimes.tensorrt.profile:CONVERTER",
        requires=(_ONNX,),
        produces=Form("onnx", encoding="qdq", activation="s8", symmetric=True, precision="f16", profile="tensorrt"),
    )
