"""Which layers lose most when they are quantized."""

from collections.abc import Iterator

from qcore.plugin import CommandSpec, Form, Option, Requirement, hookimpl
from qcore_kit.kinds import AnalyzerSpec, TunerSpec
from qcore_kit.tuning.drop import Allowance

qcore_api = "1"


@hookimpl
def qcore_analyzers() -> Iterator[AnalyzerSpec]:
    """The analyzer `noise`."""
    yield AnalyzerSpec(
        name="noise",
        summary="Ranks layers by the signal-to-noise ratio of what they make, in int8 against float",
        factory="qcore_plugins.tools.sensitivity.noise:Noise",
        requires=(
            Requirement("onnx", "onnx", ">=1.17"),
            Requirement("onnxruntime", "onnxruntime", ">=1.20"),
        ),
        accepts=(Form("onnx", encoding="float"),),
        options=(Option("inputs", "how many inputs to measure with, after the ranges are known", 32, int),),
    )


@hookimpl
def qcore_tuners() -> Iterator[TunerSpec]:
    """The tuner of `--max-drop`."""
    told = (
        "keep the most sensitive layers in float until the primary metric on --data drops by at most DROP, "
        "e.g. 0.005 or 0.5pt"
    )
    yield TunerSpec(
        name="budget",
        summary="Leaves the layers float that cost most, until a drop in accuracy is small enough",
        factory="qcore_plugins.tools.sensitivity.budget:Budget",
        options=(Option("max_drop", told, None, Allowance),),
    )


@hookimpl
def qcore_commands() -> Iterator[CommandSpec]:
    """The command `sensitivity`."""
    yield CommandSpec(
        name="sensitivity",
        summary="rank the layers by their sensitivity to quantization",
        factory="qcore_plugins.tools.sensitivity.command:Sensitivity",
    )
