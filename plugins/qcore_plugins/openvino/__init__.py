"""OpenVINO: format, converter from ONNX, backend."""

from collections.abc import Iterator

import qcore
from qcore.machine import CPUS
from qcore_plugins.layers.options import DESCRIBING

_OPENVINO = qcore.Requirement("openvino", "openvino", ">=2025.0", extra="openvino")


@qcore.hookimpl
def qcore_formats() -> Iterator[qcore.FormatSpec]:
    """The format `openvino`."""
    yield qcore.FormatSpec(
        name="openvino",
        summary="OpenVINO IR (.xml with .bin); the contract lies in rt_info",
        target="qcore_plugins.openvino.format:OpenVinoFormat",
        suffix=".xml",
        requires=(_OPENVINO,),
    )


@qcore.hookimpl
def qcore_loaders() -> Iterator[qcore.LoaderSpec]:
    """The loader `openvino`, for files without a contract."""
    yield qcore.LoaderSpec(
        name="openvino",
        summary="Detectors that exist only as an OpenVINO file from elsewhere",
        target="qcore_plugins.openvino.loader:OpenVinoLoader",
        requires=(_OPENVINO,),
        format="openvino",
        produces=qcore.Form("openvino", encoding="float", precision="f32"),
        options=(*DESCRIBING,),
    )


@qcore.hookimpl
def qcore_converters() -> Iterator[qcore.ConverterSpec]:
    """The converter `onnx-openvino`; int8 activations are left out because OpenVINO computes them less exactly."""
    yield qcore.ConverterSpec(
        name="onnx-openvino",
        summary="ONNX to OpenVINO IR, SiLU as one operation",
        target="qcore_plugins.openvino.convert:OnnxToOpenVino",
        requires=(_OPENVINO,),
        accepts=(qcore.Form("onnx", encoding="float"), qcore.Form("onnx", encoding="qdq", activation="u8")),
        produces=qcore.Form("openvino"),
    )


@qcore.hookimpl
def qcore_backends() -> Iterator[qcore.BackendSpec]:
    """The backend `openvino`."""
    yield qcore.BackendSpec(
        name="openvino",
        summary="OpenVINO on the CPU",
        target="qcore_plugins.openvino.backend:OpenVinoBackend",
        snippet="qcore_plugins.openvino.snippet:source",
        requires=(_OPENVINO,),
        accepts=(
            qcore.Form("openvino", encoding="native"),
            qcore.Form("openvino", encoding="float"),
            qcore.Form("openvino", encoding="qdq", activation="u8", profile="openvino"),
            qcore.Form("openvino", encoding="qdq", activation="u8"),
        ),
        options=(
            qcore.Option(
                "precision",
                "precision of what is not quantized; auto lets OpenVINO choose",
                "f32",
                str,
                ("f32", "bf16", "f16", "auto"),
            ),
            qcore.Option("threads", "CPU threads; 0 leaves the runtime's own choice", 0, int),
            qcore.Option(
                "cpu",
                "kind of CPU to compute as: avx2 is any without VNNI; in a process of its own",
                CPUS[0],
                str,
                CPUS,
            ),
        ),
    )


@qcore.hookimpl
def qcore_probes() -> Iterator[qcore.ProbeSpec]:
    """The probe `openvino`."""
    yield qcore.ProbeSpec(
        name="openvino",
        summary="Inner tensors of OpenVINO models",
        target="qcore_plugins.openvino.probe:OpenVinoProbe",
        requires=(_OPENVINO,),
        accepts=(qcore.Form("openvino"),),
    )
