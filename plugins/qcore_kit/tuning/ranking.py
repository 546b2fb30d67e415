"""Which layers cost most, and a run with some of them float."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qcore.plugin import Output, UsageError, only
from qcore_kit.abilities import LeavesFloat

if TYPE_CHECKING:
    from qcore.plugin import CalibrationData, Run


def ranking(run: Run, inputs: CalibrationData, output: Output) -> list[dict[str, Any]]:
    """Layers as the installed analyzer ranks them on these inputs, the worst first.

    Raises:
        UsageError: No analyzer is installed.
    """
    from qcore_kit.kinds import AnalyzerSpec

    every = run.host.specs(AnalyzerSpec)
    spec = only([spec for spec in every if not spec.problems()] or every, what="rank layers")
    if spec is None:
        raise UsageError("no analyzer ranks the layers", hint="qcore list-plugins --kind analyzer")
    model = run.vary(run.recipe.float_model()).model(spec.accepts[0])
    rows: list[dict[str, Any]] = spec.create().analyze(
        model, calibration=inputs, options=spec.typed(spec.settings({})), progress=output.progress
    )
    return rows


def leaving(run: Run, layers: Sequence[str]) -> Run:
    """The run with these layers float; without a second calibration where the quantizer can do that."""
    if not layers:
        return run
    quantizer = run.quantizer.create() if run.quantizer else None
    if isinstance(quantizer, LeavesFloat):
        model = quantizer.leaving_float(run.model("quantizer"), layers)
        return run.begun_at(model)
    return run.vary(run.recipe.exclude_layers(*layers))
