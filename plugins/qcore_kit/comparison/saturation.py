"""Whether the CPU explains a difference: without VNNI, sums of int8 products saturate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qcore.plugin import (
    Arrays,
    BackendSpec,
    CheckFailed,
    Host,
    Model,
    Predictor,
    UsageError,
    batch_size,
    bundled,
    counted,
)
from qcore_kit import machine
from qcore_kit.abilities import HasCpu, HasSaturation
from qcore_kit.comparison.rung import Cause
from qcore_kit.kinds import ProbeSpec

INPUTS = 4
"""On how many inputs sums are computed."""
LOSSY, WRONG = 40.0, 20.0
"""Signal-to-noise ratio of a layer's sums in dB below which results are worse, and below which they are wrong."""
NAMED = 3
SELECTIVE = "quantize with -q saturation=selective, or with saturation=everywhere, which rules it out"
EXACT = "a file of another tool is exact on ONNX Runtime with --backend-option x64quantprecision=true"


def options(backend: BackendSpec, cpu: str) -> dict[str, str]:
    """The option that lets a backend compute as a kind of CPU, if it has one; empty for the CPU at hand."""
    able = cpu != machine.THIS and any(option.name == "cpu" for option in backend.options)
    return {"cpu": cpu} if able else {}


def cannot_run_as(cpu: str, names: str, plugins: Host) -> UsageError:
    """The refusal of a kind of CPU that backends do not compute as, with those that do.

    Args:
        cpu: The kind.
        names: Of the backends.
        plugins: Where others come from.
    """
    able = [f"--backend {spec.name}" for spec in plugins.specs(BackendSpec) if options(spec, cpu)]
    hint = f"choose {' or '.join(able)}" if able else "omit --cpu"
    return UsageError(f"--cpu {cpu}: {names} cannot run as on another CPU", hint=hint)


def lossy(model: Model, session: Any, backend: str, inputs: Sequence[Arrays], *, plugins: Host) -> Mapping[str, float]:
    """Layers whose sums saturate where a session runs, the worst first: name -> signal-to-noise ratio in dB.

    Args:
        model: As it was compiled.
        session: Of that model; its attribute `cpu` says as which kind of CPU it computes.
        backend: Name of the backend that compiled it.
        inputs: Tensors by name, an inference each.
        plugins: Where probes come from.
    """
    if not machine.saturates(session.cpu if isinstance(session, HasCpu) else None):
        return {}
    ratios: dict[str, float] = {}
    probes = plugins.specs(ProbeSpec)
    for spec in [spec for spec in probes if bundled(spec)] or probes:
        if not spec.problems() and any(form.accepts(model.form) for form in spec.accepts):
            inside = spec.create().open(model)
            if isinstance(inside, HasSaturation):
                ratios |= inside.saturation(inputs, backend)
    return {name: ratio for name, ratio in sorted(ratios.items(), key=lambda pair: pair[1]) if ratio < LOSSY}


def cause(found: Mapping[str, float], name: str = "the model") -> Cause | None:
    """What saturation explains; None where no layer loses by it.

    Args:
        found: As `lossy` gives it.
        name: Of the model, in the line.
    """
    if not found:
        return None
    layers = [f"{layer} ({ratio:.1f} dB)" for layer, ratio in list(found.items())[:NAMED]]
    more = f" and {counted(len(found) - NAMED, 'more layer')}" if len(found) > NAMED else ""
    text = (
        f"{name} ran as on a CPU without VNNI (qcore doctor), where sums of int8 products saturate: "
        f"{', '.join(layers)}{more}"
    )
    return Cause(f"saturating sums: {next(iter(found))}", text, f"{SELECTIVE}; {EXACT}")


def explaining(
    error: CheckFailed, model: Model, predictor: Predictor, items: Sequence[Any], *, plugins: Host
) -> CheckFailed:
    """A failure, with the CPU and the layers where saturation explains it.

    Args:
        error: What failed.
        model: As it was compiled.
        predictor: Around its session.
        items: What its preprocessor reads; the first ones are used.
        plugins: Where probes come from.
    """
    batch = batch_size(model.contract.inputs)
    raws = (predictor.preprocessor.read(item) for item in items[:INPUTS])
    inputs = [predictor.prepare([raw], batch)[0] for raw in raws]
    explained = cause(lossy(model, predictor.session, predictor.backend, inputs, plugins=plugins), "the file")
    if explained is None:
        return error
    return CheckFailed(f"{error.message}; {explained.text}", hint=f"nothing was written; {SELECTIVE}")
