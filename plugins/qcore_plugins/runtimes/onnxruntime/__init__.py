"""ONNX Runtime: backend, profile, probe, rules."""

from collections.abc import Iterator

from qcore.plugin import BackendSpec, Form, Option, Requirement, hookimpl
from qcore_kit.kinds import LinterSpec, ProbeSpec, ProfileSpec
from qcore_kit.machine import CPUS

qcore_api = "1"

_RUNTIME = Requirement("onnxruntime", "onnxruntime", ">=1.20")
_ONNX = Requirement("onnx", "onnx", ">=1.17")


@hookimpl
def qcore_backends() -> Iterator[BackendSpec]:
    """The backend `onnxruntime`."""
    yield BackendSpec(
        name="onnxruntime",
        summary="ONNX Runtime on the CPU",
        factory="qcore_plugins.runtimes.onnxruntime.backend:OnnxRuntimeBackend",
        snippet="qcore_plugins.runtimes.onnxruntime.snippet:source",
        requires=(_RUNTIME, _ONNX),
        runs="onnx",
        accepts=(
            Form("onnx", encoding="qdq", profile="onnxruntime"),
            Form("onnx", encoding="float"),
            Form("onnx", encoding="qdq"),
            Form("onnx", encoding="native"),
        ),
        options=(
            Option("threads", "CPU threads; 0 leaves the runtime's own choice", 0, int),
            Option("cpu", "kind of CPU to compute as: avx2 is any without VNNI", CPUS[0], str, CPUS),
            Option(
                "x64quantprecision",
                "exact but slower int8 arithmetic on CPUs without VNNI (session.x64quantprecision)",
                False,
                bool,
            ),
        ),
    )


@hookimpl
def qcore_profiles() -> Iterator[ProfileSpec]:
    """The profile `onnxruntime`."""
    yield ProfileSpec(
        name="onnxruntime",
        summary="Writes a scale table as Q/DQ for onnxruntime: every operation, asymmetric uint8",
        factory="qcore_plugins.runtimes.onnxruntime.profile:CONVERTER",
        requires=(_ONNX,),
        produces=Form("onnx", encoding="qdq", activation="u8", symmetric=False, precision="f32", profile="onnxruntime"),
    )


@hookimpl
def qcore_probes() -> Iterator[ProbeSpec]:
    """The probe `onnx`."""
    yield ProbeSpec(
        name="onnx",
        summary="Reads intermediate tensors of ONNX graphs with ONNX Runtime",
        factory="qcore_plugins.runtimes.onnxruntime.probe:OnnxProbe",
        requires=(_ONNX, _RUNTIME),
        accepts=(Form("onnx"),),
    )


@hookimpl
def qcore_linters() -> Iterator[LinterSpec]:
    """The linter `onnxruntime`."""
    yield LinterSpec(
        name="onnxruntime",
        summary="Q/DQ and operators in an ONNX graph, against what ONNX Runtime does with them",
        factory="qcore_plugins.runtimes.onnxruntime.linters:OnnxRuntimeLinter",
        requires=(_ONNX,),
        targets=("onnxruntime",),
        format="onnx",
    )
