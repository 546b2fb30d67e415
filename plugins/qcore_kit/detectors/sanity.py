"""Whether a contract can be right: boxes and confidences of a test picture, read by it, are those of a detector."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qcore.plugin import Contract, FileError
from qcore_kit.detectors.evidence import grid, slopes
from qcore_kit.detectors.network import Network, sides
from qcore_kit.detectors.recognition import TOLERANCE
from qcore_kit.layouts import reader

FAR = 4
"""Times the input's size that a box may lie or reach beyond it; networks are never that wrong on noise."""
MOST = 0.9
"""Share of the boxes that have to be plausible."""


def check(contract: Contract, network: Network, *, hint: str) -> None:
    """Run a picture of noise and look at what the contract makes of the outputs.

    Args:
        contract: Recognised or stated.
        network: What it is for.
        hint: For the error.

    Raises:
        FileError: No detector gives such boxes or confidences: the contract reads the outputs wrong.
    """
    scale = contract.preprocess.params.get("scale")
    outputs = network.given(255.0 * (scale or 1.0))
    with np.errstate(all="ignore"):
        boxes, scores = reader(contract.outputs)(outputs)
        chosen = any(output.stage == "nms" for output in contract.outputs)
        fault = next(_faults(boxes[0], scores[0], sides(contract.inputs[0]), chosen), None)
    if fault is not None:
        family = contract.provenance.get("family") or "the contract"
        raise FileError(f"read as {family}, the outputs are no detections: {fault}", hint=hint)


def _faults(boxes: np.ndarray, scores: np.ndarray, size: tuple[int, int], chosen: bool) -> Iterator[str]:
    """What no detector gives; boxes that the graph has chosen or sorted are in no cell's place any more."""
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        yield "some values are not finite for a test picture"
        return
    low, high = float(scores.min(initial=0)), float(scores.max(initial=0))
    if low < -TOLERANCE or high > 1 + TOLERANCE:
        yield f"confidences lie between {low:.3g} and {high:.3g} for a test picture, expected 0 to 1"
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    if len(boxes) and np.median(np.maximum(width, height)) <= 1:
        sizes = f"{np.median(width):.3g} x {np.median(height):.3g}"
        yield f"boxes are {sizes} pixels (median) for a test picture, expected more than one"
    limit = np.array((size[1], size[0])) * FAR
    inside = np.all((middle > -limit) & (middle < limit), 1) & (width < limit[0]) & (height < limit[1])
    if len(boxes) and inside.mean() < MOST:
        yield f"{1 - inside.mean():.0%} of the boxes lie far outside the {size[0]}x{size[1]} input"
    placed = np.concatenate((middle, np.stack((width, height), 1)), 1)
    cells = grid(len(boxes), size, placed)
    best = scores.max(1)
    if chosen or cells is None or (np.ptp(best) > 0 and np.all(np.diff(best) <= 0)):
        return
    slope = slopes(placed, cells)
    if not slope.follows:
        yield "the boxes do not lie where their cells lie"
    elif slope.corners:
        yield "the sizes of boxes grow with their place, so they are corners"
