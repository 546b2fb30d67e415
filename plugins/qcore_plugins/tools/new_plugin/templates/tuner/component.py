"""The tuner `mynet`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qcore.plugin import Judge, Output, Run
from qcore_kit.tuning.target import Target, Tuned


class Mynet:
    """Spares the layers that read the input, and says so."""

    def tune(
        self, run: Run, target: Target, judge: Judge, *, options: Mapping[str, Any], folder: Path, output: Output
    ) -> Tuned:
        """The run with those layers float; nothing is calibrated again."""
        layers = target.of(run).model().layers
        kept = tuple(str(row["layer"]) for row in layers[: options["mynet_spare"]])
        output.say(f"left float: {', '.join(kept) or 'nothing'}")
        return Tuned(run.vary(run.recipe.exclude_layers(*kept)), kept, {"spared": list(kept)})
