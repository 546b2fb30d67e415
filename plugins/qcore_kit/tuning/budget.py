"""`qcore quantize --max-drop`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore.plugin import Output, UsageError, only, sha256
from qcore_kit import timing
from qcore_kit.abilities import LeavesFloat
from qcore_kit.tuning.search import Fit, Trials, search

if TYPE_CHECKING:
    from qcore.plugin import CalibrationData, Judge, Predictor, Run
    from qcore_kit.tuning.target import Target


def within(
    options: argparse.Namespace, output: Output, run: Run, target: Target, judge: Judge
) -> tuple[Run, dict[str, Any], list[dict[str, Any]]]:
    """Leave the worst layers float until the drop is met.

    Returns:
        The run with those layers float, ending at the target; what to report; the layers as ranked.
    """
    if not options.max_drop > 0:
        raise UsageError(f"--max-drop {options.max_drop:g} is not above 0")
    done, file = run.model("quantizer"), run.recipe.file
    identity = {
        "model": sha256(file),
        "data": sha256(Path(options.data)),
        "quantizer": run.quantizer.name if run.quantizer else None,
        "options": {name: value for name, value in sorted(run.quantizer_options.items()) if name != "state"},
        "calibration": done.contract.provenance.get("calibration", {}).get("sha256"),
        "target": target.name,
    }
    path = Path(options.out) / f"{file.stem}.{target.name}.budget.json"
    trials = Trials.read(path, _plain(identity))
    rows = ranking(run, run.calibration(), output)
    ranked = [row["layer"] for row in rows]

    def quantized(layers: Sequence[str]) -> Run:
        return target.of(leaving(run, layers))

    def predictor(made: Run) -> Predictor:
        recipe = made.recipe
        recipe = recipe if recipe.backend else recipe.with_backend(target.backend, profile=target.profile)
        return made.vary(recipe.with_protocol(judge.protocol(made.contract()))).predictor()

    float_predictor = predictor(run.vary(run.recipe.without_quantizer().with_backend(target.backend)))
    if trials.reference is None:
        trials.reference = judge(float_predictor)
        trials.write()
    reference = trials.reference
    figure = judge.name(float_predictor.contract)
    output.note(f"{figure} on {options.data}: float {reference:.4f} on {target.backend.name}")
    found = search(
        ranked,
        lambda layers: judge(predictor(quantized(layers))),
        reference=reference,
        max_drop=options.max_drop,
        trials=trials,
        say=output.note,
        fit=Fit.of([row["share"] for row in rows]) if all("share" in row for row in rows) else None,
    )
    kept = quantized(found.layers)
    report: dict[str, Any] = {
        "figure": figure,
        "data": options.data,
        "float": found.reference,
        "int8": found.whole,
        "reached": found.figure,
        "left_float": list(found.layers),
    }
    if found.layers:
        report["times"] = _slower(run, predictor(quantized(())), predictor(kept))
    trials.write(result=report)
    output.say(_told(report, len(ranked)))
    return kept, {**report, "trials": dict(sorted(trials.known.items()))}, rows


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
    made = run.quantizer.create() if run.quantizer else None
    if isinstance(made, LeavesFloat):
        model = made.leaving_float(run.model("quantizer"), layers)
        return run.begun_at(model)
    return run.vary(run.recipe.exclude_layers(*layers))


def _slower(run: Run, whole: Predictor, mixed: Predictor) -> dict[str, float]:
    """Milliseconds of both sessions, in turns."""
    batch = next(iter(run.calibration()))
    return timing.interleaved(
        {"int8": lambda: whole.session.run(batch), "mixed": lambda: mixed.session.run(batch)}, rounds=20
    )


def _told(report: dict[str, Any], layers: int) -> str:
    kept = report["left_float"]
    said = (
        f"{report['figure']} {report['reached']:.4f} against {report['float']:.4f} in float "
        f"({report['reached'] - report['float']:+.4f}), decided on {report['data']}"
    )
    if not kept:
        return f"{said}; no layer had to stay float"
    times = report["times"]
    return (
        f"{said}; {len(kept)} of {layers} layers stay float, {times['mixed'] / times['int8']:.2f} times as long as "
        f"all of them in int8 ({report['int8']:.4f}): {', '.join(kept)}"
    )


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    import json

    return json.loads(json.dumps(value))
