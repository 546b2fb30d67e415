"""Output tensors taken apart into boxes, objectness and class scores, and what to call the place of every value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qcore.plugin import Tensor
from qcore_kit.boxes.outputs import JOINED, LABELLED

Index = tuple[int, ...]
Quantity = tuple[np.ndarray, Callable[[Index], str]]
"""Values, and what to call the place of an index into them."""
CENTRE = ["cx", "cy", "w", "h"]
SIDES = ["left", "top", "right", "bottom"]
LEVELS = ((8, 16, 32), (8, 16, 32, 64))
"""Strides that heads without an attribute `stride` are taken to have, if their number of rows fits."""


def quantities(
    outputs: Sequence[Tensor], given: Mapping[str, Any], size: tuple[int, int], classes: Sequence[str]
) -> dict[str, Quantity]:
    """The quantities in some outputs; nothing for outputs of other meanings.

    Args:
        outputs: As the contract tells them.
        given: Their values.
        size: Height and width of the input in pixels.
        classes: Names.
    """
    found: dict[str, Quantity] = {}
    for output in outputs:
        made = _RULES.get((output.meaning or "", output.stage or ""))
        if made is None:
            continue
        several = sum(other.meaning == output.meaning for other in outputs) > 1
        of = _Output(np.asarray(given[output.name]), output.attributes.get("stride"), size, classes)
        for name, quantity in made(of).items():
            found[f"{output.name} {name}" if several else name] = quantity
    return found


@dataclass(frozen=True)
class _Output:
    values: np.ndarray
    stride: Any
    size: tuple[int, int]
    classes: Sequence[str]


def _joined(meaning: str) -> Callable[[_Output], dict[str, Any]]:
    layout = JOINED[meaning]

    def quantities_of(of: _Output) -> dict[str, Any]:
        rows = of.values if layout.rows else of.values.swapaxes(1, 2)
        place = _row(rows.shape[1], of.size)
        found = {"boxes": (rows[..., :4], _channel(place, SIDES if layout.corners else CENTRE))}
        if layout.objectness:
            found["objectness"] = (rows[..., 4:5], lambda index: place(index[1]))
        return {**found, "class scores": (rows[..., layout.before :], _channel(place, of.classes))}

    return quantities_of


def _labelled(of: _Output) -> dict[str, Any]:
    place = _row(of.values.shape[1], of.size)
    return {
        "boxes": (of.values[..., :4], _channel(place, SIDES)),
        "scores": (of.values[..., 4:5], lambda index: place(index[1])),
    }


def _boxes(of: _Output) -> dict[str, Any]:
    return {"boxes": (of.values, _channel(_row(of.values.shape[1], of.size), SIDES))}


def _scores(of: _Output) -> dict[str, Any]:
    return {"class scores": (of.values, _channel(_row(of.values.shape[1], of.size), of.classes))}


def _raw_objectness(of: _Output) -> dict[str, Any]:
    def place(index: Index) -> str:
        _, anchor, row, column, channel = index
        names = ["x", "y", "w", "h", "objectness", *of.classes]
        return f"stride {of.stride}, anchor {anchor}, row {row}, column {column}, {names[channel]}"

    return {"logits": (of.values, place)}


def _raw_joined(of: _Output) -> dict[str, Any]:
    sides = of.values.shape[1] - len(of.classes)

    def place(index: Index) -> str:
        _, channel, row, column = index
        side = SIDES[channel * 4 // sides] if channel < sides else of.classes[channel - sides]
        return f"stride {of.stride}, row {row}, column {column}, {side}"

    return {"logits": (of.values, place)}


_RULES: dict[tuple[str, str], Any] = {
    **{(meaning, "decoded"): _joined(meaning) for meaning in JOINED},
    (LABELLED, "decoded"): _labelled,
    ("boxes", "decoded"): _boxes,
    ("scores", "decoded"): _scores,
    ("boxes-objectness-classes", "raw"): _raw_objectness,
    ("boxes-classes", "raw"): _raw_joined,
}


def _channel(place: Callable[[int], str], names: Sequence[str]) -> Callable[[Index], str]:
    return lambda index: f"{place(index[1])}, {names[index[2]] if index[2] < len(names) else index[2]}"


def _row(count: int, size: tuple[int, int]) -> Callable[[int], str]:
    """Level, anchor and cell of a row of a joined output, where the usual strides explain the number of rows."""
    for strides in LEVELS:
        grids = [(size[0] // stride, size[1] // stride) for stride in strides]
        cells = sum(rows * columns for rows, columns in grids)
        if cells and count % cells == 0 and count // cells <= 3:
            return lambda row: _cell(row, strides, grids, count // cells)
    return lambda row: f"row {row}"


def _cell(row: int, strides: Sequence[int], grids: Sequence[tuple[int, int]], anchors: int) -> str:
    for stride, (rows, columns) in zip(strides, grids, strict=True):
        if row < anchors * rows * columns:
            anchor, cell = divmod(row, rows * columns)
            which = f"anchor {anchor}, " if anchors > 1 else ""
            return f"stride {stride}, {which}row {cell // columns}, column {cell % columns}"
        row -= anchors * rows * columns
    return f"row {row}"
