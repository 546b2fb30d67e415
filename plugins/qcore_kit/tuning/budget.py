"""`qcore quantize --max-drop`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore.plugin import Output, UsageError, only, sha256
from qcore_kit import timing
from qcore_kit.tuning.search import Fit, Trials, search

if TYPE_CHECKING:
    from qcore.plugin import CalibrationData, Judge, Pipeline, Predictor
    from qcore_kit.tuning.target import Target


def within(
    options: argparse.Namespace, output: Output, pipeline: Pipeline, done: Pipeline, target: Target, judge: Judge
) -> tuple[Pipeline, dict[str, Any], list[dict[str, Any]]]:
    """Leave the worst layers float until the drop is met.

    Returns:
        The quantized pipeline with those layers float, ending at the target; what to report; the layers as ranked.
    """
    if not options.max_drop > 0:
        raise UsageError(f"--max-drop {options.max_drop:g} is not above 0")
    wanted = pipeline.quantization
    assert wanted is not None and done.loaded is not None  # noqa: PT018, S101 - the command has set both
    identity = {
        "model": sha256(pipeline.weights),
        "data": sha256(Path(options.data)),
        "quantizer": wanted.quantizer.name,
        "options": {name: value for name, value in sorted(wanted.options.items()) if name != "state"},
        "calibration": done.loaded.contract.provenance.get("calibration", {}).get("sha256"),
        "target": target.name,
    }
    path = Path(options.out) / f"{pipeline.weights.stem}.{target.name}.budget.json"
    trials = Trials.read(path, _plain(identity))
    rows = ranking(pipeline, pipeline.calibration(), output)
    ranked = [row["layer"] for row in rows]

    def quantized(layers: Sequence[str]) -> Pipeline:
        return target.of(leaving(pipeline, done, layers))

    def predictor(made: Pipeline) -> Predictor:
        made = made if made.backend is not None else made.to(target.backend, target=target.profile)
        contract = made.load().loaded.contract  # type: ignore[union-attr]
        return made.following(judge.protocol(contract)).build()

    float_predictor = predictor(pipeline.unquantized().to(target.backend))
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
        report["times"] = _slower(pipeline, predictor(quantized(())), predictor(kept))
    trials.write(result=report)
    output.say(_told(report, len(ranked)))
    return kept, {**report, "trials": dict(sorted(trials.known.items()))}, rows


def ranking(pipeline: Pipeline, inputs: CalibrationData, output: Output) -> list[dict[str, Any]]:
    """Layers as the installed analyzer ranks them on these inputs, the worst first.

    Raises:
        UsageError: No analyzer is installed.
    """
    from qcore_kit.kinds import AnalyzerSpec

    every = pipeline.plugins.specs(AnalyzerSpec)
    spec = only([spec for spec in every if not spec.problems()] or every, what="rank layers")
    if spec is None:
        raise UsageError("no analyzer ranks the layers", hint="qcore list-plugins --kind analyzer")
    model = pipeline.unquantized().at(spec.accepts[0]).loaded
    assert model is not None  # noqa: S101 - at() has just set it
    rows: list[dict[str, Any]] = spec.create().analyze(
        model, calibration=inputs, options=spec.typed(spec.settings({})), progress=output.progress
    )
    return rows


def leaving(pipeline: Pipeline, done: Pipeline, layers: Sequence[str]) -> Pipeline:
    """The quantized pipeline with these layers float; without a second calibration where the quantizer can do that."""
    if not layers:
        return done
    assert pipeline.quantization is not None and done.loaded is not None  # noqa: PT018, S101 - the command has set both
    made = pipeline.quantization.quantizer.create()
    if hasattr(made, "leaving_float"):
        return done.continued(made.leaving_float(done.loaded, layers))
    return pipeline.leaving_float(layers).quantized()


def _slower(pipeline: Pipeline, whole: Predictor, mixed: Predictor) -> dict[str, float]:
    """Milliseconds of both sessions, in turns."""
    batch = next(iter(pipeline.calibration()))
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
