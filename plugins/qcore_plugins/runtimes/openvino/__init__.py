"""OpenVINO: format, converter from ONNX, backend."""

from collections.abc import Iterator

from qcore.plugin import (
    BackendSpec,
    ConverterSpec,
    Form,
    FormatSpec,
    LoaderSpec,
    Option,
    Requirement,
    hookimpl,
)
from qcore_kit.detectors.options import DESCRIBING
from qcore_kit.kinds import LinterSpec, ProbeSpec, ProfileSpec
from qcore_kit.machine import CPUS

qcore_api = "1"

_ONNX = Requirement("onnx", "onnx", ">=1.17")
_OPENVINO = Requirement("openvino", "openvino", ">=2025.0", extra="openvino")


@hookimpl
def qcore_formats() -> Iterator[FormatSpec]:
    """The format `openvino`."""
    yield FormatSpec(
        name="openvino",
        summary="OpenVINO IR (.xml with .bin); the contract lies in rt_info",
        factory="qcore_plugins.runtimes.openvino.format:OpenVinoFormat",
        suffix=".xml",
        requires=(_OPENVINO,),
    )


@hookimpl
def qcore_loaders() -> Iterator[LoaderSpec]:
    """The loader `openvino`, for files without a contract."""
    yield LoaderSpec(
        name="openvino",
        summary="Detectors that exist only as an OpenVINO file from elsewhere",
        factory="qcore_plugins.runtimes.openvino.loader:OpenVinoLoader",
        requires=(_OPENVINO,),
        format="openvino",
        produces=Form("openvino", encoding="float", precision="f32"),
        options=(*DESCRIBING,),
    )


@hookimpl
def qcore_converters() -> Iterator[ConverterSpec]:
    """The converter `onnx-openvino`; int8 activations are left out because OpenVINO computes them less exactly."""
    yield ConverterSpec(
        name="onnx-openvino",
        summary="ONNX to OpenVINO IR, SiLU as one operation",
        factory="qcore_plugins.runtimes.openvino.convert:OnnxToOpenVino",
        requires=(_OPENVINO,),
        accepts=(Form("onnx", encoding="float"), Form("onnx", encoding="qdq", activation="u8")),
        produces=Form("openvino"),
    )


@hookimpl
def qcore_backends() -> Iterator[BackendSpec]:
    """The backend `openvino`."""
    yield BackendSpec(
        name="openvino",
        summary="OpenVINO on the CPU",
        factory="qcore_plugins.runtimes.openvino.backend:OpenVinoBackend",
        snippet="qcore_plugins.runtimes.openvino.snippet:source",
        requires=(_OPENVINO,),
        runs="openvino",
        accepts=(
            Form("openvino", encoding="native"),
            Form("openvino", encoding="float"),
            Form("openvino", encoding="qdq", activation="u8", profile="openvino"),
            Form("openvino", encoding="qdq", activation="u8"),
        ),
        options=(
            Option(
                "precision",
                "precision of what is not quantized; auto lets OpenVINO choose",
                "f32",
                str,
                ("f32", "bf16", "f16", "auto"),
            ),
            Option("threads", "CPU threads; 0 leaves the runtime's own choice", 0, int),
            Option(
                "cpu",
                "kind of CPU to compute as: avx2 is any without VNNI; in a process of its own",
                CPUS[0],
                str,
                CPUS,
            ),
        ),
    )


@hookimpl
def qcore_probes() -> Iterator[ProbeSpec]:
    """The probe `openvino`."""
    yield ProbeSpec(
        name="openvino",
        summary="Inner tensors of OpenVINO models",
        factory="qcore_plugins.runtimes.openvino.probe:OpenVinoProbe",
        requires=(_OPENVINO,),
        accepts=(Form("openvino"),),
    )


@hookimpl
def qcore_profiles() -> Iterator[ProfileSpec]:
    """The profile `openvino`."""
    yield ProfileSpec(
        name="openvino",
        summary="Writes a scale table as Q/DQ for openvino: SiLU whole, asymmetric uint8",
        factory="qcore_plugins.runtimes.openvino.profile:CONVERTER",
        requires=(_ONNX,),
        produces=Form("onnx", encoding="qdq", activation="u8", symmetric=False, precision="f32", profile="openvino"),
    )


@hookimpl
def qcore_linters() -> Iterator[LinterSpec]:
    """The linters `openvino` and `openvino-onnx`."""
    yield LinterSpec(
        name="openvino",
        summary="FakeQuantize in an OpenVINO file",
        factory="qcore_plugins.runtimes.openvino.linters:OpenVinoLinter",
        requires=(_OPENVINO,),
        targets=("openvino",),
        format="openvino",
    )
    yield LinterSpec(
        name="openvino-onnx",
        summary="Q/DQ and operators in an ONNX graph, against what OpenVINO does with them",
        factory="qcore_plugins.runtimes.openvino.linters:OnnxForOpenVinoLinter",
        requires=(_ONNX,),
        targets=("openvino",),
        format="onnx",
    )
