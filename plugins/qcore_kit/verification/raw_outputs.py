"""Inputs run through a model with everything in between kept, and its raw outputs taken apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qcore.plugin import Arrays, Predictor, batch_size, split
from qcore_kit.abilities import HasQuantities

SUPPRESSED = "nms"


@dataclass(frozen=True)
class Seen:
    """One input on its way through a model.

    Attributes:
        inputs: The tensors that the preprocessor made of it, by name, batch 1.
        outputs: Of the model, batch 1.
        result: What the postprocessor made of those.
    """

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    result: Any


def run_seen(predictor: Predictor, raws: Sequence[Any], dynamic: int = 1) -> Iterator[Seen]:
    """Run inputs as they were read, in batches of the contract's size, with everything in between kept.

    Args:
        predictor: Compiled.
        raws: What its reader gave.
        dynamic: Size of the batches if the contract leaves it open.
    """
    contract = predictor.contract
    size = batch_size(contract.inputs, dynamic)
    for start in range(0, len(raws), size):
        batch = raws[start : start + size]
        inputs, geometries = predictor.prepare(batch, size)
        outputs: Arrays = predictor.session.run(inputs)
        results = predictor.finish(outputs, geometries)
        fed, given = (
            split(arrays, tensors, len(batch))
            for arrays, tensors in ((inputs, contract.inputs), (outputs, contract.outputs))
        )
        yield from map(Seen, fed, given, results)


def quantities(predictor: Predictor, seen: Seen) -> Mapping[str, tuple[Any, Callable[[tuple[int, ...]], str]]]:
    """Quantities of one input's outputs: what the postprocessor takes them apart to, else the outputs themselves."""
    apart = predictor.postprocessor
    parts = apart.quantities(seen.outputs, seen.inputs) if isinstance(apart, HasQuantities) else {}
    return parts or {name: (np.asarray(value), lambda index: str(list(index))) for name, value in seen.outputs.items()}
