"""Shapes of the inputs that an engine is built for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qcore.plugin import Tensor, UsageError

BATCHES = (1, 1, 8)
"""Smallest, usual and largest batch of a dynamic batch, where nobody says."""


def batch_range(given: Any) -> tuple[int, int, int]:
    """Smallest, usual and largest batch, from three numbers or their texts.

    Raises:
        UsageError: Not three, or not in that order.
    """
    try:
        smallest, usual, largest = (int(size) for size in given)
    except (TypeError, ValueError):
        text = given if isinstance(given, str) else ",".join(map(str, given))
        raise UsageError(f"--batch-range {text}: expected MIN,OPT,MAX, e.g. 1,4,16") from None
    if smallest != 1:
        raise UsageError(
            f"--batch-range {smallest},{usual},{largest}: qcore runs single pictures too, so it begins with 1",
            hint="for larger batches only, export with a fixed --batch",
        )
    if not 1 <= smallest <= usual <= largest:
        raise UsageError(f"--batch-range {smallest},{usual},{largest}: smallest, usual, largest, from 1 upwards")
    return smallest, usual, largest


def optimization_profile(inputs: Sequence[Tensor], batches: Sequence[int]) -> dict[str, list[list[int]]]:
    """Smallest, usual and largest shape of each input with a dynamic batch.

    Raises:
        UsageError: Another dimension is dynamic: an engine for detectors has one picture size.
    """
    ranges = {}
    for tensor in inputs:
        named = [axis for axis, size in enumerate(tensor.shape) if isinstance(size, str)]
        if not named:
            continue
        if named != [0]:
            raise UsageError(
                f"input {tensor.name} {list(tensor.shape)}: only the batch can be dynamic in an engine",
                hint="export the ONNX file with --imgsz HEIGHT WIDTH",
            )
        ranges[tensor.name] = [[batch, *(int(size) for size in tensor.shape[1:])] for batch in batches]
    return ranges
