"""The layouts of YOLO-type heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qcore.plugin import Arrays, Tensor
from qcore_kit.boxes.anchors import decode
from qcore_kit.boxes.arrays import constant, library
from qcore_kit.boxes.bins import decode_joined
from qcore_kit.boxes.outputs import JOINED
from qcore_kit.layouts import Index, Quantity
from qcore_kit.scripts import template

CENTRE = ["cx", "cy", "w", "h"]
SIDES = ["left", "top", "right", "bottom"]
LEVELS = ((8, 16, 32), (8, 16, 32, 64))
"""Strides that heads without an attribute `stride` are taken to have, if their number of rows fits."""
TEMPLATES = {
    "boxes-objectness-classes": "objectness",
    "boxes-classes": "together",
    "boxes-classes-rows": "rows",
    "corners-classes": "corners",
    "corners-classes-rows": "corner_rows",
}
"""Meaning of one decoded output -> the template that reads it."""


class OneOutput:
    """One decoded output with boxes and a score for each class; see `qcore_kit.boxes.outputs.Joined`."""

    def __init__(self, meaning: str) -> None:
        self.form, self.template = JOINED[meaning], TEMPLATES[meaning]

    def read(self, outputs: Sequence[Tensor], values: Arrays) -> tuple[Any, Any]:
        """Boxes and scores."""
        return self.form.read(values[outputs[0].name])

    def parts(self, output: Tensor, values: Any, size: tuple[int, int], classes: Sequence[str]) -> dict[str, Quantity]:  # noqa: ARG002
        """Boxes, objectness where there is one, class scores."""
        rows = values if self.form.rows else values.swapaxes(1, 2)
        place = _row(rows.shape[1], size)
        named: dict[str, Quantity] = {"boxes": (rows[..., :4], _channel(place, SIDES if self.form.corners else CENTRE))}
        if self.form.objectness:
            named["objectness"] = (rows[..., 4:5], lambda index: place(index[1]))
        return {**named, "class scores": (rows[..., self.form.before :], _channel(place, classes))}

    def script(self, outputs: Sequence[Tensor]) -> str:
        """The template of this arrangement."""
        return text_of(self.template, OUTPUT=outputs[0].name)

    def tail(self, graph: Any, outputs: Sequence[Tensor]) -> tuple[str, str, int]:
        """Slices, the objectness multiplied in, corners computed."""
        count = int(outputs[0].shape[1 if self.form.rows else 2])
        whole = graph.free(outputs[0].name)
        whole = whole if self.form.rows else graph.add("Transpose", whole, perm=[0, 2, 1])
        scores = graph.slice(whole, self.form.before, 2**31 - 1, 2)
        if self.form.objectness:
            scores = graph.add("Mul", scores, graph.slice(whole, 4, 5, 2))
        if self.form.corners:
            return graph.slice(whole, 0, 4, 2), scores, count
        centre = graph.slice(whole, 0, 2, 2)
        half = graph.add("Mul", graph.slice(whole, 2, 4, 2), graph.constant(0.5, np.float32))
        corners = graph.add("Concat", graph.add("Sub", centre, half), graph.add("Add", centre, half), axis=2)
        return corners, scores, count

    def count(self, output: Tensor, shape: Sequence[Any]) -> int | None:  # noqa: ARG002
        """What lies behind the box."""
        size = shape[self.form.axis] if len(shape) == 3 else None
        return size - self.form.before if isinstance(size, int) else None


class Labelled:
    """`[B, N, 6]` with left, top, right, bottom, score, class: the score at its class, 0 at the others."""

    def read(self, outputs: Sequence[Tensor], values: Arrays) -> tuple[Any, Any]:
        """Boxes and scores."""
        decoded = values[outputs[0].name]
        xp, _ = library(decoded)
        classes = constant(np.arange(int(outputs[0].attributes["classes"])), decoded)
        return decoded[..., :4], xp.where(decoded[..., 5:6] == classes, decoded[..., 4:5], 0 * decoded[..., 4:5])

    def parts(self, output: Tensor, values: Any, size: tuple[int, int], classes: Sequence[str]) -> dict[str, Quantity]:  # noqa: ARG002
        """Boxes and best scores; nothing where they were selected, whose order rounding changes."""
        if output.stage != "decoded":
            return {}
        place = _row(values.shape[1], size)
        scores: Quantity = (values[..., 4:5], lambda index: place(index[1]))
        return {"boxes": (values[..., :4], _channel(place, SIDES)), "scores": scores}

    def script(self, outputs: Sequence[Tensor]) -> str:
        """The template of this arrangement."""
        return text_of("labelled", OUTPUT=outputs[0].name)


class Apart:
    """Boxes `[B, N, 4]` and scores `[B, N, classes]` as two outputs."""

    def read(self, outputs: Sequence[Tensor], values: Arrays) -> tuple[Any, Any]:
        """Both."""
        where = {output.meaning: output.name for output in outputs}
        return values[where["boxes"]], values[where["scores"]]

    def parts(self, output: Tensor, values: Any, size: tuple[int, int], classes: Sequence[str]) -> dict[str, Quantity]:
        """The one that it is."""
        place = _row(values.shape[1], size)
        if output.meaning == "boxes":
            return {"boxes": (values, _channel(place, SIDES))}
        return {"class scores": (values, _channel(place, classes))}

    def script(self, outputs: Sequence[Tensor]) -> str:
        """The template of this arrangement."""
        where = {output.meaning: output.name for output in outputs}
        return text_of("apart", BOXES=where["boxes"], SCORES=where["scores"])

    def tail(self, graph: Any, outputs: Sequence[Tensor]) -> tuple[str, str, int]:
        """Nothing to add."""
        where = {output.meaning: output for output in outputs}
        count = int(where["boxes"].shape[1])
        return graph.free(where["boxes"].name), graph.free(where["scores"].name), count

    def count(self, output: Tensor, shape: Sequence[Any]) -> int | None:
        """Of the scores."""
        known = output.meaning == "scores" and len(shape) == 3 and isinstance(shape[2], int)
        return int(shape[2]) if known else None


class RawAnchors:
    """Levels `[B, anchors, H, W, 5 + classes]` of logits, with `stride` and `anchors` in pixels."""

    def read(self, outputs: Sequence[Tensor], values: Arrays) -> tuple[Any, Any]:
        """Decoded as YOLOv5 does."""
        strides = [float(output.attributes["stride"]) for output in outputs]
        pixels = [np.asarray(output.attributes["anchors"], np.float32) for output in outputs]
        anchors = np.stack([anchor / stride for anchor, stride in zip(pixels, strides, strict=True)])
        levels = [values[output.name] for output in outputs]
        return JOINED["boxes-objectness-classes"].read(decode(levels, constant(anchors, levels[0]), strides))

    def parts(self, output: Tensor, values: Any, size: tuple[int, int], classes: Sequence[str]) -> dict[str, Quantity]:  # noqa: ARG002
        """The logits."""
        stride, names = output.attributes.get("stride"), ["x", "y", "w", "h", "objectness", *classes]

        def place(index: Index) -> str:
            _, anchor, row, column, channel = index
            return f"stride {stride}, anchor {anchor}, row {row}, column {column}, {names[channel]}"

        return {"logits": (values, place)}


class RawBins:
    """Levels `[B, 4 * bins + classes, H, W]` of logits, with `stride` and `bins`."""

    def read(self, outputs: Sequence[Tensor], values: Arrays) -> tuple[Any, Any]:
        """Decoded by the expectation over the bins of each side."""
        strides = [float(output.attributes["stride"]) for output in outputs]
        bins = np.asarray(outputs[0].attributes["bins"], np.float32)
        levels = [values[output.name] for output in outputs]
        return JOINED["boxes-classes"].read(decode_joined(levels, strides, constant(bins, levels[0])))

    def parts(self, output: Tensor, values: Any, size: tuple[int, int], classes: Sequence[str]) -> dict[str, Quantity]:  # noqa: ARG002
        """The logits."""
        stride, sides = output.attributes.get("stride"), values.shape[1] - len(classes)

        def place(index: Index) -> str:
            _, channel, row, column = index
            side = SIDES[channel * 4 // sides] if channel < sides else classes[channel - sides]
            return f"stride {stride}, row {row}, column {column}, {side}"

        return {"logits": (values, place)}


OBJECTNESS, COLUMNS, ROWS, CORNERS, CORNER_ROWS = map(OneOutput, TEMPLATES)
LABELLED, APART, RAW_ANCHORS, RAW_BINS = Labelled(), Apart(), RawAnchors(), RawBins()


def text_of(name: str, **values: Any) -> str:
    """A template with the names of the outputs."""
    return template(Path(__file__).parent / "scripts" / f"{name}.py", values)


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
