"""ncnn for qcore: format, converter from ONNX, backend, profile, probe, rules."""

from collections.abc import Iterator

from qcore.plugin import BackendSpec, ConverterSpec, Form, FormatSpec, Option, Requirement, hookimpl
from qcore_kit.kinds import LinterSpec, ProbeSpec, ProfileSpec

qcore_api = "1"

_NCNN = Requirement("ncnn", "ncnn", ">=1.0.20250503")
_ONNX = Requirement("onnx", "onnx", ">=1.17")


@hookimpl
def qcore_formats() -> Iterator[FormatSpec]:
    """The format `ncnn`."""
    yield FormatSpec(
        name="ncnn",
        summary="ncnn models (.param with .bin); the contract lies beside them, in FILE.param.qcore.json",
        factory="qcore_ncnn.format:NcnnFormat",
        suffix=".param",
    )


@hookimpl
def qcore_converters() -> Iterator[ConverterSpec]:
    """The converter `onnx-ncnn`: float, or int8 around 0, which is all that ncnn has."""
    yield ConverterSpec(
        name="onnx-ncnn",
        summary="ONNX to ncnn: SiLU as one layer; convolutions between Q/DQ in int8, with the scales of the file",
        factory="qcore_ncnn.convert:OnnxToNcnn",
        requires=(_ONNX,),
        accepts=(
            Form("onnx", encoding="float", precision="f32"),
            Form("onnx", encoding="qdq", activation="s8", symmetric=True, precision="f32"),
        ),
        produces=Form("ncnn"),
    )


@hookimpl
def qcore_backends() -> Iterator[BackendSpec]:
    """The backend `ncnn`."""
    yield BackendSpec(
        name="ncnn",
        summary="ncnn on the CPU",
        factory="qcore_ncnn.backend:NcnnBackend",
        snippet="qcore_ncnn.snippet:source",
        requires=(_NCNN,),
        runs="ncnn",
        accepts=(
            Form("ncnn", encoding="qdq", profile="ncnn"),
            Form("ncnn", encoding="float"),
            Form("ncnn", encoding="qdq"),
        ),
        options=(Option("threads", "CPU threads; 0 leaves the runtime's own choice", 0, int),),
    )


@hookimpl
def qcore_profiles() -> Iterator[ProfileSpec]:
    """The profile `ncnn`."""
    yield ProfileSpec(
        name="ncnn",
        summary="Writes a scale table as Q/DQ for ncnn: what convolutions and Gemms read, int8 around 0",
        factory="qcore_ncnn.profile:CONVERTER",
        requires=(_ONNX,),
        produces=Form("onnx", encoding="qdq", activation="s8", symmetric=True, precision="f32", profile="ncnn"),
    )


@hookimpl
def qcore_probes() -> Iterator[ProbeSpec]:
    """The probe `ncnn`."""
    yield ProbeSpec(
        name="ncnn",
        summary="Inner blobs of ncnn models",
        factory="qcore_ncnn.probe:NcnnProbe",
        requires=(_NCNN,),
        accepts=(Form("ncnn"),),
    )


@hookimpl
def qcore_linters() -> Iterator[LinterSpec]:
    """The linters `ncnn` and `ncnn-onnx`."""
    yield LinterSpec(
        name="ncnn",
        summary="What an ncnn file computes in integers",
        factory="qcore_ncnn.rules:NcnnLinter",
        targets=("ncnn",),
        format="ncnn",
    )
    yield LinterSpec(
        name="ncnn-onnx",
        summary="Operators and Q/DQ in an ONNX graph, against what ncnn has",
        factory="qcore_ncnn.rules:OnnxForNcnnLinter",
        requires=(_ONNX,),
        targets=("ncnn",),
        format="onnx",
    )
