"""The tuner of `qcore quantize --max-drop`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore.plugin import sha256
from qcore_kit import timing
from qcore_kit.tuning.ranking import leaving, ranking
from qcore_kit.tuning.search import Fit, Trials, search
from qcore_kit.tuning.target import Tuned

if TYPE_CHECKING:
    from qcore.plugin import Judge, Output, Predictor, Run
    from qcore_kit.tuning.target import Target


class Budget:
    """Leaves the layers float that cost most, until the main figure is no lower than allowed."""

    def tune(
        self, run: Run, target: Target, judge: Judge, *, options: Mapping[str, Any], folder: Path, output: Output
    ) -> Tuned:
        """Leave the worst layers float until the drop is met; what was measured is kept beside the results.

        Raises:
            CheckFailed: Not even all of them are enough.
            FileError: The record of another search lies there.
        """
        max_drop = options["max_drop"]
        record = folder / f"{run.recipe.file.stem}.{target.name}.budget.json"
        trials = Trials.read(record, _identity(run, target, judge))
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
        figure = judge.name(float_predictor.contract)
        output.note(f"{figure} on {judge.data}: float {trials.reference:.4f} on {target.backend.name}")
        best = search(
            ranked,
            lambda layers: judge(predictor(quantized(layers))),
            reference=trials.reference,
            max_drop=max_drop,
            trials=trials,
            say=output.note,
            fit=Fit.of([row["share"] for row in rows]) if all("share" in row for row in rows) else None,
        )
        kept = quantized(best.layers)
        report: dict[str, Any] = {
            "figure": figure,
            "data": str(judge.data),
            "float": best.reference,
            "int8": best.whole,
            "reached": best.figure,
            "left_float": list(best.layers),
        }
        if best.layers:
            report["times"] = _slower(run, predictor(quantized(())), predictor(kept))
        trials.write(result=report)
        output.say(_told(report, len(ranked)))
        return Tuned(kept, best.layers, {**report, "trials": dict(sorted(trials.known.items()))}, rows)


def _identity(run: Run, target: Target, judge: Judge) -> dict[str, Any]:
    """What the figures depend on, as JSON gives it back."""
    calibration = run.model("quantizer").contract.provenance.get("calibration", {})
    identity: dict[str, Any] = json.loads(
        json.dumps(
            {
                "model": sha256(run.recipe.file),
                "data": sha256(Path(judge.data)),
                "quantizer": run.quantizer.name if run.quantizer else None,
                "options": {name: value for name, value in sorted(run.quantizer_options.items()) if name != "state"},
                "calibration": calibration.get("sha256"),
                "target": target.name,
            }
        )
    )
    return identity


def _slower(run: Run, whole: Predictor, mixed: Predictor) -> dict[str, float]:
    """Milliseconds of both sessions, in turns."""
    batch = next(iter(run.calibration()))
    return timing.interleaved(
        {"int8": lambda: whole.session.run(batch), "mixed": lambda: mixed.session.run(batch)}, rounds=20
    )


def _told(report: dict[str, Any], layers: int) -> str:
    kept = report["left_float"]
    summary = (
        f"{report['figure']} {report['reached']:.4f} against {report['float']:.4f} in float "
        f"({report['reached'] - report['float']:+.4f}), decided on {report['data']}"
    )
    if not kept:
        return f"{summary}; no layer had to be kept in float"
    times = report["times"]
    return (
        f"{summary}; {len(kept)} of {layers} layers kept in float: {', '.join(kept)}; inference takes "
        f"{times['mixed'] / times['int8']:.2f} times as long as with all layers in INT8 ({report['int8']:.4f})"
    )
