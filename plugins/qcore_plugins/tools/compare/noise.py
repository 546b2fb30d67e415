"""Where noise comes from: a layer, all of them together, the runtime, or what is behind the last layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from qcore_kit.comparison.rung import Cause, Rung

ACCUMULATED, BEHIND = "accumulated noise", "behind the last layers"
OTHERWISE = "the runtime computes otherwise"
START = {"float": 120.0, "half": 60.0, "quantized": 40.0}
"""About what the first layer's input has in dB; of 8 bits, 6 dB each less the headroom of a range."""
JUMP, BEFORE = 10.0, 3
"""Fall in dB, from the lowest of some layers before, that is the fault of one layer, if it is half of the way to the
first below the limit; else noise only adds up. Several layers, as the one before may be of another branch. In YOLOv5n's
INT8 file the second layer falls by 10.5 from 38 dB, no other by more than 6; the lowest is at 10."""
ROOM = 6.0
"""dB by which the outputs may be worse than the layers whose noise explains them: a decode multiplies."""


def jump(ratios: Mapping[str, float], below: str, start: float) -> str | None:
    """The layer, up to one below the limit, at which the ratio falls most; None where no fall is more than noise adds.

    Args:
        ratios: Of each layer, in dB, in order.
        below: The first below the limit.
        start: Ratio of what the first layer reads.
    """
    layers, values = list(ratios), list(ratios.values())
    reached = layers.index(below) + 1
    falls = {
        layers[place]: min(values[max(0, place - BEFORE) : place], default=start) - values[place]
        for place in range(reached)
    }
    worst = max(falls, key=lambda layer: falls[layer])
    return worst if falls[worst] >= max(JUMP, (start - ratios[below]) / 2) else None


def accumulated(ratios: Mapping[str, float], name: str) -> Cause:
    """That no layer is to blame for the noise of one.

    Args:
        ratios: Of each layer by the name that people know, in dB, in order.
        name: The layer.
    """
    layers = list(ratios)
    first = layers[0]
    steps = {after: ratios[before] - ratios[after] for before, after in pairwise(layers[: layers.index(name) + 1])}
    most = max(steps, key=lambda layer: steps[layer], default=first)
    adds = f"; the largest fall between neighbours is {steps[most]:.1f} dB, at {most}" if steps else ""
    text = f"the noise grows from {ratios[first]:.1f} dB at {first} to {ratios[name]:.1f} dB at {name}{adds}"
    hint = "no single layer is at fault: qcore sensitivity ranks what each adds, and --max-drop leaves the worst float"
    return Cause(ACCUMULATED, text, hint)


def beyond_layers(tensors: Rung, within: Rung) -> Cause:
    """Why outputs differ though every layer is above its threshold: the runtime, noise that is enough, or the end."""
    if runtime := within.figures.get("runtime"):
        text = (
            f"every layer of CANDIDATE's graph is right, but {runtime['backend']} makes other outputs than the graph "
            f"says: cosine {runtime['cosine']:.5f}, {runtime['size']:.3g} times the size ({runtime['quantity']})"
        )
        return Cause(
            OTHERWISE, text, "qcore check CANDIDATE says what runtimes get wrong; qcore doctor, what this CPU does"
        )
    ratios = within.figures.get("ratio_db", {})
    cosines = [each["cosine"] for each in tensors.figures.values() if "cosine" in each]
    if ratios and cosines and 0 < min(cosines) < 1:
        layer = min(ratios, key=lambda name: ratios[name])
        explains = -10 * math.log10(1 / min(cosines) ** 2 - 1)  # of noise that is independent of the values
        if ratios[layer] <= explains + ROOM:
            cause = accumulated(ratios, layer)
            more = f"; a cosine of {min(cosines):.3f} in the outputs is {explains:.1f} dB"
            return replace(cause, text=cause.text + more)
    text = "every layer inside is above its threshold, the outputs are not: what is behind the last layers differs"
    hint = "compare the ends of both graphs: decoding, sigmoid, anchors, order of channels"
    return Cause(BEHIND, text, hint)
