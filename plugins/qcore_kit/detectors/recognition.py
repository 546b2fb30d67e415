"""Which head a network has: told from its shapes, from what is behind its last convolutions, and from its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcore.plugin import FileError, Tensor, UsageError
from qcore_kit.boxes.outputs import LABELLED
from qcore_kit.detectors.contracts import shapes
from qcore_kit.detectors.evidence import Grid, Slopes, grid, integral, slopes
from qcore_kit.detectors.network import Network
from qcore_kit.detectors.unsupported import DISTANCES, NMS, QUERIES, unsupported

PAIR = "boxes, scores"
"""Stands for two outputs, corners and class scores."""
CUT = "cut the graph before NMS with --loader-option output=TENSOR, where boxes and scores of all cells are joined"
TOLERANCE = 2e-3
"""What float16 may add to a probability."""
OPEN = "choose one with --loader-option family=yolov5, yolov9, yolonas, yolox, yolov10 or deepstream"


@dataclass(frozen=True)
class Head:
    """What a network gives.

    Attributes:
        family: Whose conventions its pictures follow.
        meaning: Of its output; `PAIR` for two.
        outputs: The tensors that hold it.
        classes: How many classes there are; None where only names could tell.
        why: What it was told from, for people.
    """

    family: str
    meaning: str
    outputs: tuple[Tensor, ...]
    classes: int | None
    why: str


def recognise(network: Network, *, named: int | None = None) -> Head:
    """The head of a network.

    Args:
        network: With fixed sizes.
        named: How many class names there are, where somebody gives some.

    Raises:
        FileError: A head that qcore does not read; the message names it.
        UsageError: More than one reading is possible.
    """
    if name := unsupported(network):
        raise refusal(name)
    outputs = network.outputs
    ranks = [len(output.shape) for output in outputs]
    if ranks == [3]:
        return _one(network, outputs[0], named)
    if ranks == [3, 3]:
        return _pair(network)
    joined = [output for output in outputs if len(output.shape) == 3]
    raw = [output for output in outputs if len(output.shape) in (4, 5)]
    if len(joined) == 1 and len(raw) == len(outputs) - 1:
        return _one(network, joined[0], named)  # YOLOv5 and v9 can leave their raw levels beside the decoded boxes
    raise _unknown(outputs)


def unreadable(network: Network) -> None:
    """Raise where a network at a size that is only tried is nothing that qcore reads at any size.

    Raises:
        FileError: As in `recognise`; not for a network that does not run at that size.
    """
    if name := unsupported(network):
        raise refusal(name)
    try:
        _ = network.sample
    except FileError:
        return
    try:
        recognise(network)
    except UsageError:
        return


def refusal(name: str, *, hint: str | None = None) -> FileError:
    """The error for a network that is known and not supported."""
    return FileError(
        f"unsupported network: {name}",
        hint=hint
        or (CUT if NMS in name else None)
        or "qcore reads YOLO-type detectors whose boxes are decoded; qcore list-plugins shows the loaders",
    )


def _one(network: Network, output: Tensor, named: int | None) -> Head:
    values = network.sample[output.name]
    boxes, cells, rows = _oriented(values[0], network.size)
    if boxes.shape[1] == 6 and rows and integral(boxes[:, 5]) and (cells is None or _chooses(network, boxes, cells)):
        return _labelled(network, output, boxes, cells)
    if boxes.shape[1] < 5:
        raise refusal(f"a part of a head, boxes without scores or the other way round ({shapes([output])})")
    if cells is None:
        raise _without_cells(network, output, boxes)
    slope = slopes(boxes[:, :4], cells)
    if not slope.follows:
        raise _undecoded(network, boxes, cells, slope)
    objectness = _has_objectness(network, boxes, cells, rows, named)
    if objectness and (slope.corners or not rows):
        told = "corners" if slope.corners else "columns"
        raise refusal(f"a head with objectness whose boxes are {told} ({shapes([output])})")
    _probabilities(boxes[:, 4:], output)
    classes = boxes.shape[1] - (5 if objectness else 4)
    told = f"{'corners' if slope.corners else 'centre and size'} in pixels, {cells.anchors} per cell"
    if objectness:
        exponential = cells.anchors == 1 and "Exp" in network.operations
        return Head("yolox" if exponential else "yolov5", "boxes-objectness-classes", (output,), classes, told)
    meaning = ("corners" if slope.corners else "boxes") + ("-classes-rows" if rows else "-classes")
    return Head("yolo26" if slope.corners else "yolov9", meaning, (output,), classes, told)


def _oriented(values: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, Grid | None, bool]:
    """One row a box, their cells, and whether they stood in rows; values of a box may be as many as some cells."""
    ways = []
    for turned, rows in ((values, True), (values.T, False)):
        cells = grid(len(turned), size, turned[:, :4]) if turned.shape[1] >= 4 else None
        if cells is not None:
            ways.append((turned, cells, rows))
    if not ways:
        rows = values.shape[1] < values.shape[0]
        return values if rows else values.T, None, rows
    followed = [(abs(slope.first - 1), way) for way in ways if (slope := slopes(way[0][:, :4], way[1])).follows]
    return min(followed, key=lambda pair: pair[0])[1] if followed else max(ways, key=lambda way: len(way[0]))


def _chooses(network: Network, boxes: np.ndarray, cells: Grid) -> bool:
    """Whether the last column is an index: something is chosen in the graph, or an index above 1 is there.

    That of a single class never changes, nor does the score of a single class that training has left at its end: the
    first stands beside corners, the second beside centres and sizes.
    """
    constant = bool(np.ptp(boxes[:, 5]) == 0)
    return bool(network.chosen) or float(boxes[:, 5].max()) > 1 or (constant and slopes(boxes[:, :4], cells).corners)


def _labelled(network: Network, output: Tensor, boxes: np.ndarray, cells: Grid | None) -> Head:
    """Rows of left, top, right, bottom, score, class; sorted ones were selected, whatever their number."""
    cells = None if len(boxes) <= QUERIES and np.all(np.diff(boxes[:, 4]) <= 0) else cells
    ordered = np.mean((boxes[:, 2] >= boxes[:, 0]) & (boxes[:, 3] >= boxes[:, 1])) > 0.9
    if cells is None and len(boxes) > QUERIES:
        raise _without_cells(network, output, boxes)
    if not (slopes(boxes[:, :4], cells).corners if cells else ordered):
        raise refusal(f"a head with the best class of each box, whose boxes are not corners ({shapes([output])})")
    _probabilities(boxes[:, 4:5], output)
    family = "deepstream" if cells else "yolov10"
    told = "corners, score, class" + (" per cell" if cells else ", sorted and selected in the graph")
    return Head(family, LABELLED, (output,), _count(network), told)


def _count(network: Network) -> int | None:
    """How many classes the best one was chosen from: the other side of a tensor with a row for each box."""
    for shape in network.chosen:
        sides = [size for size in shape[1:] if size > 1] or [1]
        many = next((size for size in sides if (grid(size, network.size) is not None and size > 20)), None)
        if len(shape) == 3 and many is not None:
            return int(shape[1] * shape[2] // many)
    return None


def _pair(network: Network) -> Head:
    boxes = [output for output in network.outputs if output.shape[2] == 4]
    if len(boxes) == 2:  # four classes: scores never leave 0 to 1
        boxes = [output for output in boxes if np.ptp(network.sample[output.name]) > 1 + 2 * TOLERANCE]
    scores = [output for output in network.outputs if output not in boxes]
    counts = {output.shape[1] for output in network.outputs}
    if len(boxes) != 1 or len(scores) != 1 or len(counts) > 1:
        columns = sorted(output.shape[1] == 4 for output in network.outputs) == [False, True]
        if columns and network.outputs[0].shape[2] == network.outputs[1].shape[2]:
            raise refusal(
                f"a head with boxes and scores as columns of two outputs ({shapes(network.outputs)})",
                hint="cut the graph where they are joined, with --loader-option output=TENSOR",
            )
        raise _unknown(network.outputs)
    values = network.sample[boxes[0].name][0]
    cells = grid(len(values), network.size, values)
    if cells is None:
        raise _without_cells(network, boxes[0], values)
    slope = slopes(values, cells)
    if not slope.follows:
        raise _undecoded(network, values, cells, slope)
    if not slope.corners:
        raise refusal(f"a head with centres and sizes in an output apart from the scores ({shapes(network.outputs)})")
    _probabilities(network.sample[scores[0].name], scores[0])
    distributed = "Softmax" in network.operations or not network.operations
    return Head(
        "yolonas" if distributed else "yolo26",
        PAIR,
        (boxes[0], scores[0]),
        int(scores[0].shape[2]),
        "corners and class scores, one of each per cell",
    )


def _has_objectness(network: Network, boxes: np.ndarray, cells: Grid, rows: bool, named: int | None) -> bool:
    """Whether column 4 is a factor on the class scores."""
    values = boxes.shape[1]
    if cells.anchors > 1:
        return True
    if not rows:
        return False
    apart = network.widths
    if values - 5 in apart and (1 in apart or np.ptp(boxes[:, 4]) == 0):
        return True
    if values - 4 in apart:
        return False
    if named in (values - 5, values - 4):
        result: bool = named == values - 5
        return result
    raise UsageError(
        f"rows of {values} values are {values - 4} classes, or objectness and {values - 5} classes",
        hint="pass the class names with --loader-option names=FILE, or " + OPEN,
    )


def _probabilities(values: np.ndarray, output: Tensor) -> None:
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(values).all() and low >= -TOLERANCE and high <= 1 + TOLERANCE):
        raise FileError(
            f"output {output.name}: the scores of a test picture lie between {low:.3g} and {high:.3g}, expected 0 to 1",
            hint="they may be logits, mask coefficients or keypoints: export a detector with its sigmoid in the graph",
        )


def _unknown(outputs: Sequence[Tensor]) -> FileError:
    return refusal(
        f"a head that is not known, with the outputs {shapes(outputs)}",
        hint="where the boxes are joined further up in the graph, cut there with --loader-option output=TENSOR",
    )


def _without_cells(network: Network, output: Tensor, boxes: np.ndarray) -> FileError:
    if boxes.shape[0] <= QUERIES and np.abs(boxes[:, :4]).max() <= 2:
        return refusal(f"a DETR-type network (RT-DETR and others: {len(boxes)} boxes as shares of the picture)")
    picture = f"{network.size[0]}x{network.size[1]}"
    return refusal(f"a head that is not known: {shapes([output])} are no boxes of the cells of a {picture} input")


def _undecoded(network: Network, boxes: np.ndarray, cells: Grid, found: Slopes) -> FileError:
    values, widths = boxes.shape[1], network.widths
    per_stride = [1 / stride for stride in cells.strides]
    share = [1 / side for side in network.size]
    if min(per_stride) * 0.5 < found.first < max(per_stride) * 1.5:
        return refusal("a detector whose boxes are in cells: the multiplication by the stride is missing")
    if min(share) * 0.5 < found.first < max(share) * 1.5:
        return refusal("a detector whose boxes are shares of the picture, not pixels")
    if any(values - bins in widths or values in widths for bins in DISTANCES) and values > min(DISTANCES):
        return refusal("GFL as in NanoDet (distributions of distances), not decoded")
    if cells.anchors == 1 and values >= 6 and (not widths or values - 5 in widths):
        return refusal(
            "YOLOX whose boxes are not decoded (neither cells nor exp and stride are in the graph)",
            hint="export it with the decode inside: YOLOX's tools/export_onnx.py --decode_in_inference",
        )
    return refusal("a head whose boxes are not decoded (SSD, raw YOLO): they do not lie where their cells lie")
