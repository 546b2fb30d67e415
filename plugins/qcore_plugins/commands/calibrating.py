"""Calibrating in parts: what the inputs of each show in a file, the ranges from all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore.plugin import UsageError, batch_size, counted, replacing, sha256
from qcore_kit import parts
from qcore_kit.abilities import CalibratesInParts
from qcore_kit.folders import writable

if TYPE_CHECKING:
    from qcore.plugin import Calibration, Output, QuantizerSpec, Run

FEW, ENOUGH = 8, 100
"""Calibration inputs below which there is a warning, and how many it recommends."""


def calibrate(run: Run, place: int, count: int, folder: Path) -> Path:
    """Run the inputs of one part and write what they show; gives the file.

    Args:
        run: Of a recipe that quantizes.
        place: Which part, from 1.
        count: How many there are.
        folder: Where the file goes.

    Raises:
        UsageError: The quantizer looks at all inputs at once, or the model takes several at a time.
    """
    parts.require(place, count)
    spec, quantizer = _able(run)
    writable(folder)
    model = run.vary(run.recipe.float_model()).model(spec.accepts[0])
    if batch_size(model.contract.inputs) > 1:
        raise UsageError("a model that takes several inputs at a time is calibrated as a whole", hint="--batch 1")
    whole = run.calibration()
    own = _chosen(whole, place, count)
    options = spec.typed(run.quantizer_options)
    state = quantizer.calibrate(model, calibration=own, options=options, progress=run.progress)
    part = parts.Part(parts.VERSION, place, count, _identity(run, spec, whole), "", "", state, "calibration")
    file = folder / f"{run.recipe.file.stem}.{place}-of-{count}.calibration"
    with replacing(file) as temporary:
        temporary.write_bytes(parts.encoded(part))
    return file


def require_parts(run: Run, files: Sequence[str]) -> None:
    """Refuse parts that are not all of this calibration, before anything is run.

    Raises:
        FileError: As `parts.read`.
        UsageError: The quantizer looks at all inputs at once.
    """
    spec, _ = _able(run)
    parts.read(files, "calibration", _identity(run, spec, run.calibration()))


def _able(run: Run) -> tuple[QuantizerSpec, CalibratesInParts]:
    spec = run.quantizer
    quantizer: Any = spec.create() if spec else None
    takes = spec is not None and any(option.name == "calibrated" for option in spec.options)
    if spec is None or not takes or not isinstance(quantizer, CalibratesInParts):
        name = spec.name if spec else "none"
        raise UsageError(f"quantizer {name} cannot calibrate in parts", hint="quantize without --part and --merge")
    return spec, quantizer


def _chosen(whole: Calibration, place: int, count: int) -> Calibration:
    """Every so many inputs."""
    from qcore.plugin import Calibration

    items = whole.items[place - 1 :: count]
    return Calibration(whole.source, items, whole.preprocessor, whole.contract, whole.progress)


def _identity(run: Run, spec: QuantizerSpec, whole: Calibration) -> dict[str, Any]:
    local = {option.name for option in spec.options if option.local}
    options = {name: str(value) for name, value in sorted(run.quantizer_options.items()) if name not in local}
    contract = replace(run.contract(), provenance={}, classes=(), protocols={}, extensions={})
    return {
        "model": sha256(run.recipe.file),
        "quantizer": spec.qualified,
        "options": options,
        "contract": contract.to_json(),
        "inputs": parts.names(whole.items),
    }


def warn_of_few(run: Run, output: Output) -> None:
    """Say that there are too few calibration inputs to show the ranges; nothing is read."""
    count = len(run.calibration().items)
    if count < FEW:
        output.warn(f"calibration on {counted(count, 'input')}: the ranges may not fit others; use at least {ENOUGH}")


def warn_of_equal(run: Run, output: Output) -> None:
    """Say that all calibration inputs are the same; reads up to the first that differs."""
    import numpy as np

    whole = run.calibration()
    if whole.count < 2:
        return
    first = whole.take([0])
    others = (whole.take([place]) for place in range(1, whole.count))
    if all(np.array_equal(first[name], other[name]) for other in others for name in first):
        output.warn(f"all {whole.count} calibration inputs are equal: they show the ranges of one; use different ones")
