"""The fourth step: inside the graph, the layer from which on the numbers are others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from qcore.plugin import Arrays, NoRoute, QcoreError, Tensor, batch_size, bundled
from qcore_kit.comparison.protocols import Inside, Quantized
from qcore_kit.comparison.rung import Cause, Rung
from qcore_kit.kinds import ProbeSpec
from qcore_kit.reports import Bars, Table
from qcore_kit.verification.quantity import Sums
from qcore_kit.verification.raw_outputs import SUPPRESSED, Seen, quantities
from qcore_plugins.tools.compare.explaining import explained
from qcore_plugins.tools.compare.noise import START, accumulated, jump
from qcore_plugins.tools.compare.side import Side
from qcore_plugins.tools.compare.tensors import worse

LIMITS = {"float": 60.0, "half": 20.0, "quantized": 3.0}
"""Lowest signal-to-noise ratio of a layer in dB, by what may be expected of the numbers. Measured: float on another
runtime 108, float16 45, INT8 4.7 at the worst layer of YOLOv5n and of a YOLOv9-T."""
AT_ONCE = 40
"""Layers whose outputs are in memory together."""
CLIPPED, NOTED, LEVELS = 0.02, 0.1, 8
"""A range is too small that cuts this part of the values where noise is too much, or the second where it is not: some
per cent of far negative values may be cut on purpose. It is too coarse if it has fewer steps than that."""
EXACT = 200.0
FIRST = "first layer that differs"
ALIKE = 0.98
"""Cosine from which a layer's values explain those of the other."""


def rung(reference: Side, candidate: Side, tensors: Sequence[Arrays]) -> Rung:
    """Layer by layer on some input tensors, where both models take them and can be looked into."""
    if not takes(candidate, tensors[0]):
        sizes = " and ".join(f"{array.dtype} tensors of {list(array.shape[1:])}" for array in tensors[0].values())
        return Rung("inside the graph", "none", f"CANDIDATE takes no {sizes} as REF does")
    opened = []
    for side in (reference, candidate):
        try:
            opened.append(_open(side))
        except QcoreError as error:
            return Rung("inside the graph", "none", f"{side.name} cannot be read layer by layer: {error.message}")
    one, other = opened
    pairs = _pairs(one, other)
    remarks = [Cause(*remark) for remark in other.remarks]
    if not pairs:
        return Rung("inside the graph", "none", _joined("the layers of the two graphs do not correspond", remarks))
    at_once = max(batch_size(side.contract.inputs) for side in (reference, candidate))
    tensors = tensors[: max(1, len(tensors) // at_once)]
    ratios = _ratios(reference, candidate, one, other, pairs, tensors)
    limit = LIMITS[worse(reference, candidate)]
    below = [layer for layer in pairs if not ratios[layer] >= limit]
    names = {layer: one.names.get(layer) or other.names.get(there, layer) for layer, there in pairs.items()}
    quantized = worse(reference, candidate) == "quantized"
    causes: list[Cause] = []
    fed = reference.fed(tensors[0]), candidate.fed(tensors[0])
    asked = [below[0], *_fall(ratios, below[0])] if below else list(pairs)
    causes += _rounding(reference, one, other, pairs, asked, fed[0], CLIPPED if below else NOTED)
    if below and not causes:
        layer = jump(ratios, below[0], START[worse(reference, candidate)])
        if layer is None:
            causes.append(accumulated({names[name]: ratio for name, ratio in ratios.items()}, names[below[0]]))
        else:
            made = one.run(fed[0], [layer])[layer], other.run(fed[1], [pairs[layer]])[pairs[layer]]
            causes += _first(names[layer], ratios[layer], *made, quantized=quantized)
    told = {names[layer]: ratio for layer, ratio in ratios.items()}
    worst = sorted(told, key=lambda layer: told[layer])[:10]
    start = names[below[0]] if below else None
    first = f"first below {limit:g} dB: {start} ({ratios[below[0]]:.1f} dB)" if below else ""
    lowest = f"lowest ratio {told[worst[0]]:.1f} dB ({worst[0]})"
    values = [told[layer] for layer in worst]
    return Rung(
        "inside the graph",
        "fail" if below else "note" if causes or remarks else "pass",
        _joined("; ".join([*dict.fromkeys(cause.name for cause in causes if not below), first or lowest]), remarks),
        (*causes, *remarks),
        f"signal-to-noise ratio of every layer {limit:g} dB, for a {worse(reference, candidate)} model",
        {
            "layers": len(pairs),
            "first_below": start,
            "ratio_db": told,
            "worst": worst,
            "runtime": {} if below else _runtime(candidate, other, tensors[0]),
        },
        [
            Bars(worst, values, "dB", "The ten layers with most noise", limit),
            Table(("layer", "dB"), list(told.items()), "All layers", folded=True),
        ],
    )


def _joined(summary: str, remarks: Sequence[Cause]) -> str:
    return "; ".join([summary, *(remark.name for remark in remarks)])


def takes(side: Side, arrays: Mapping[str, Any]) -> bool:
    """Whether a model takes the arrays of one input, made for another one."""
    tensors = side.contract.inputs
    return len(tensors) == len(arrays) and all(map(_takes, tensors, arrays.values()))


def _takes(tensor: Tensor, array: Any) -> bool:
    sizes = [
        (size, there)
        for axis, (size, there) in enumerate(zip(tensor.shape, array.shape, strict=False))
        if axis != tensor.batch
    ]
    same = len(tensor.shape) == array.ndim and all(isinstance(size, str) or size == there for size, there in sizes)
    return same and tensor.dtype == str(array.dtype)


def _open(side: Side) -> Inside:
    """The model as the probe wants it that is nearest.

    Raises:
        NoRoute: No probe opens such models.
        MissingDependency: What the probe needs is not installed.
    """
    run = side.run.vary(side.run.recipe.float_model())
    routes = []
    for spec in run.host.specs(ProbeSpec):
        for form in spec.accepts:
            try:
                routes.append((not bundled(spec), len(run.plan(form).legs), spec.qualified, spec, form))
            except NoRoute:
                continue
    if not routes:
        raise NoRoute(f"no probe opens {side.form}", hint="qcore list-plugins --kind probe")
    *_, spec, form = min(routes, key=lambda route: route[:3])
    inside: Inside = spec.create().open(run.model(form))
    return inside


def _pairs(one: Inside, other: Inside) -> dict[str, str]:
    """Layer of the reference -> tensor of the candidate: by name, else by order where all weights have equal shapes.

    Names that two models share do not make them one: of most, the weights have to have equal shapes too.
    """
    same = {layer: layer for layer in one.layers if layer in other.tensors}
    others = sum(other.layers.get(layer, one.layers[layer]) != one.layers[layer] for layer in same)
    if 2 * (len(same) - others) >= len(one.layers):
        return same
    if list(one.layers.values()) == list(other.layers.values()):
        return dict(zip(one.layers, other.layers, strict=True))
    return {}


def _ratios(
    reference: Side,
    candidate: Side,
    one: Inside,
    other: Inside,
    pairs: Mapping[str, str],
    tensors: Sequence[Arrays],
) -> dict[str, float]:
    """10 log10 of signal over noise of each layer's output, in dB."""
    sums = {layer: np.zeros(2) for layer in pairs}
    layers = list(pairs)
    for start in range(0, len(layers), AT_ONCE):
        group = layers[start : start + AT_ONCE]
        for tensor in tensors:
            left = one.run(reference.fed(tensor), group)
            right = other.run(candidate.fed(tensor), [pairs[layer] for layer in group])
            for layer in group:
                value, theirs = left[layer][:1].astype(np.float64), right[pairs[layer]][:1]
                noise = value - theirs if value.shape == theirs.shape else np.full(1, np.inf)
                sums[layer] += (value * value).sum(), (noise * noise).sum()
    return {layer: _decibel(*map(float, pair)) for layer, pair in sums.items()}


def _runtime(candidate: Side, other: Inside, arrays: Arrays) -> dict[str, Any]:
    """The quantity of the outputs that the runtime makes otherwise than the graph says; empty where it makes none so.

    Probes compute what a graph says, so that all layers may be right where the runtime is not.
    """
    names = [output.name for output in candidate.contract.outputs]
    if any(output.stage == SUPPRESSED for output in candidate.contract.outputs) or not set(names) <= other.tensors:
        return {}
    fed = candidate.fed(arrays)
    ran, literal = candidate.predictor.session.run(fed), other.run(fed, names)
    both = [
        quantities(candidate.predictor, Seen(arrays, {name: values[name][:1] for name in names}, None))
        for values in (literal, ran)
    ]
    for name, (value, place) in both[0].items():
        sums = Sums(coarse=(0, 0.0))
        sums.add(value, both[1][name][0], place, "")
        if not sums.within(candidate.exactness):
            return {"backend": candidate.predictor.backend, "quantity": name, "cosine": sums.cosine, "size": sums.size}
    return {}


def _decibel(signal: float, noise: float) -> float:
    if not math.isfinite(noise):
        return -EXACT
    if noise == 0:
        return EXACT
    return min(EXACT, 10 * math.log10(signal / noise)) if signal > 0 else -EXACT


def _fall(ratios: Mapping[str, float], below: str) -> Sequence[str]:
    """The layer, up to one below the limit, with the largest fall from the one before, and that one."""
    layers = list(ratios)
    layers = layers[: layers.index(below) + 1]
    falls = {(layer, before): ratios[before] - ratios[layer] for before, layer in pairwise(layers)}
    return max(falls, key=lambda pair: falls[pair], default=())


def _first(name: str, ratio: float, one: Any, other: Any, *, quantized: bool) -> Iterator[Cause]:
    """That a layer is the first, where rounding does not explain it, and what was done to its values `[N, C, ...]`."""
    if one[:1].shape == other[:1].shape and np.isfinite(other).all() and one.ndim > 1:
        yield from explained(name, _centred(one), _centred(other), lambda channel: f"channel {channel}", ALIKE)
    text = f"the ratio falls to {ratio:.1f} dB at {name}; the layers before it are within bounds"
    hint = f"leave it float: qcore quantize ... --exclude {name}"
    if not quantized:
        hint = "neither model is quantized: compare this layer's weights and the operations before it"
    yield Cause(f"{FIRST}: {name}", text, hint)


def _centred(values: Any) -> Any:
    """`[N, C, ...]` with channels last, each without its mean: a bias hides a factor."""
    moved = np.moveaxis(values[:1], 1, -1).astype(np.float64)
    return moved - moved.mean(tuple(range(moved.ndim - 1)))


def _rounding(
    reference: Side,
    one: Inside,
    other: Inside,
    pairs: Mapping[str, str],
    layers: Sequence[str],
    fed: Mapping[str, Any],
    most: float,
) -> Iterator[Cause]:
    """What rounding does to the values around some layers, where it cuts more than a part of the reference's values."""
    places = dict(_rounded(reference, one, other, pairs, layers))
    names = list(places)
    for start in range(0, len(names), AT_ONCE):
        group = names[start : start + AT_ONCE]
        values = one.run(fed, group)
        for name in group:
            yield from _judged(name, values[name], places[name], most)


def _rounded(
    reference: Side, one: Inside, other: Inside, pairs: Mapping[str, str], layers: Sequence[str]
) -> Iterator[tuple[str, Quantized]]:
    """The tensors of the reference that the candidate rounds around some layers, and how."""
    back = {there: here for here, there in pairs.items()}
    inputs = [tensor.name for tensor in reference.contract.inputs]
    for layer in layers:
        for rounded in other.quantized(pairs[layer]):
            name = back.get(rounded.tensor, rounded.tensor)
            if name not in one.tensors and name not in one.layers:
                name = inputs[0] if rounded.tensor not in other.layers and len(inputs) == 1 else name
            if name in one.tensors:
                yield name, rounded


def _judged(name: str, values: Any, rounded: Quantized, most: float) -> Iterator[Cause]:
    low, high = float(values.min()), float(values.max())
    room = rounded.step  # SiLU has many values at its minimum: to lose less than a step of them is rounding
    cut = float(((values < rounded.low - room) | (values > rounded.high + room)).mean())
    span = f"{name} lies within {low:.3g}..{high:.3g}"
    if cut > most:
        ends = f"{rounded.high:.3g}" if rounded.low == -math.inf else f"{rounded.low:.3g}..{rounded.high:.3g}"
        text = f"{span}, its scale ends at {ends} and cuts {cut:.0%} of the values"
        yield Cause("range too small", text, "calibrate with inputs like those of the scene, at the model's shape")
    elif (high - low) / rounded.step < LEVELS:
        text = f"{span}, a step of its scale is {rounded.step:.3g}"
        yield Cause("scale too coarse", text, "calibrate, so that the scale fits the values")
