"""Which layers need weights within +-64 to be right on CPUs without VNNI, measured on a few inputs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from qcore.plugin import CalibrationData, Progress, counted
from qcore_kit.quantization.graph import Graph, Node, from_onnx
from qcore_kit.quantization.integers import LOSSY, IntegerLayer
from qcore_kit.quantization.placement import Placement, place
from qcore_kit.quantization.products import Products
from qcore_kit.quantization.profiles import Profile, bundled
from qcore_kit.quantization.saturation import Loss
from qcore_kit.quantization.table import Narrowing, ScaleTable
from qcore_kit.quantization.writer import quantized

INPUTS = 8
"""How many calibration inputs are measured."""
POSITIONS = 100
"""Outputs of each layer that are computed for an input."""
NAMED = 3
"""Layers that a sentence names."""


def narrowed(table: ScaleTable, data: CalibrationData, mode: str, progress: Progress) -> ScaleTable:
    """The table with the layers chosen that each profile narrows; says which.

    `selective` chooses layers below `LOSSY`, and first layers, which read pictures, if any input could make them
    saturate. `everywhere` chooses all, so that nothing has to be measured. `ignore` chooses none.

    Args:
        table: Made for 8 bits throughout.
        data: The calibration inputs.
        mode: As above.
        progress: Shows the measurement.
    """
    profiles = [profile for profile in bundled() if profile.saturates_like]
    if mode == "ignore":
        return replace(table, narrowed={profile.name: Narrowing(mode) for profile in profiles})
    if mode == "everywhere":
        every = Narrowing(mode, frozenset(table.weights))
        progress.say(
            f"{counted(len(table.weights), 'layer')} kept within +-64, which is safe on CPUs without VNNI "
            "but costs accuracy (YOLOv5n: AP -0.011)"
        )
        return replace(table, narrowed={profile.name: every for profile in profiles})
    watchers = {profile.name: _Watcher(table, profile) for profile in profiles}
    inputs = 0
    for count, tensors in _tensors(table, watchers.values(), data, progress):
        inputs += count
        for watcher in watchers.values():
            watcher.add(tensors, POSITIONS * count, inputs)
    renewed = replace(table, narrowed={name: watcher.narrowing(inputs) for name, watcher in watchers.items()})
    if sentence := _sentence(renewed):
        progress.say(sentence)
    return renewed


def recorded(narrowing: Narrowing, nodes: Sequence[Node]) -> dict[str, Any]:
    """What a contract keeps: the mode, layers within +-64, and the worst losses with 8 bits, narrowed or not.

    Args:
        narrowing: Of one profile.
        nodes: The operations whose weights are quantized.
    """
    layers = {str(node.weight): node.layer for node in nodes}
    known: dict[str, Any] = {"mode": narrowing.mode}
    known["narrowed"] = [layer for name, layer in layers.items() if name in narrowing.weights]
    losses = {name: loss for name, loss in narrowing.losses.items() if name in layers}
    if not losses:
        return known
    known["inputs"] = narrowing.inputs
    for title, names in (("worst", set(losses)), ("worst_left", set(losses) - narrowing.weights)):
        if names:
            name = min(names, key=lambda name: (losses[name][0], -losses[name][1], name))
            known[title] = {"layer": layers[name], "db": losses[name][0], "ratio": losses[name][1]}
    return known


class _Watcher:
    """Losses of all weighted operations under one profile."""

    def __init__(self, table: ScaleTable, profile: Profile) -> None:
        self.runtime = profile.saturates_like
        self.layers = list(_layers(table, profile))
        self.losses = {weight: Loss() for weight, _ in self.layers}

    def add(self, tensors: Mapping[str, np.ndarray], positions: int, seed: int) -> None:
        """The tensors of one batch, by name, of which so many outputs of each layer are computed."""
        for weight, layer in self.layers:
            self.losses[weight] += layer.loss(tensors[layer.input], self.runtime, positions, seed)

    def narrowing(self, inputs: int) -> Narrowing:
        """What follows from all inputs."""
        lossy = {weight for weight, loss in self.losses.items() if loss.decibels < LOSSY}
        first = {weight for weight, layer in self.layers if layer.first and layer.can_saturate(self.runtime)}
        losses = {weight: (round(loss.decibels, 2), round(loss.ratio, 4)) for weight, loss in self.losses.items()}
        return Narrowing("selective", frozenset(lossy | first), losses, inputs)


def _layers(table: ScaleTable, profile: Profile) -> Iterator[tuple[str, IntegerLayer]]:
    """Each operation that the profile quantizes, as its runtime computes it, with its weight; some share one."""
    graph = from_onnx(table.graph)
    placement = place(graph, profile, table.excluded)
    joined = table.joined(placement)
    stored = {tensor.name: tensor for tensor in table.graph.graph.initializer}
    nodes = {node.name or node.output[0]: node for node in table.graph.graph.node}
    for node in placement.weighted:
        source, weight = _quantized_source(graph, placement, node.inputs[0]), str(node.weight)
        if source is None or weight not in table.weights or weight not in stored:
            continue
        scale, point = joined[source].quantization(profile.activation, profile.symmetric)
        known = table.weights[weight]
        steps = quantized(numpy_helper.to_array(stored[weight]), known.scale, known.axis)
        attributes = {each.name: helper.get_attribute_value(each) for each in nodes[node.name].attribute}
        yield (
            weight,
            IntegerLayer(
                node.layer,
                Products.of(node.op, steps, attributes),
                node.inputs[0],
                node.outputs[0],
                scale,
                point + (128 if profile.activation == "s8" else 0),
                known.scale,
                first=node.name in graph.first,
            ),
        )


def _quantized_source(graph: Graph, placement: Placement, name: str) -> str | None:
    """The group whose scale a tensor has, looked for before the operations that only move it."""
    while name not in placement.tensors:
        maker = graph.producers.get(name)
        if maker is None or not (maker.moves or maker.averages) or not maker.inputs:
            return None
        name = maker.inputs[0]
    return placement.tensors[name]


def _tensors(
    table: ScaleTable, watchers: Collection[_Watcher], data: CalibrationData, progress: Progress
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Batches of `INPUTS` of the calibration inputs: how many there are in it, and what the watched operations read."""
    import onnxruntime

    wanted = sorted({layer.input for watcher in watchers for _, layer in watcher.layers})
    if not wanted:
        return
    copy = onnx.ModelProto()
    copy.CopyFrom(table.graph)
    given = {value.name for value in copy.graph.input}
    handed = {value.name for value in copy.graph.output}
    copy.graph.output.extend(helper.make_empty_tensor_value_info(n) for n in wanted if n not in given | handed)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(copy.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    dimensions = copy.graph.input[0].type.tensor_type.shape.dim
    batch = max(1, dimensions[0].dim_value) if dimensions else 1
    chosen = _spread(data.count, -(-INPUTS // batch), batch)
    computed = [name for name in wanted if name not in given]
    for places in progress.track(chosen, "measuring saturation", len(chosen)):
        batches = dict(data.take(places))
        values = session.run(computed, batches) if computed else []
        yield len(places), {**batches, **dict(zip(computed, values, strict=True))}


def _spread(count: int, batches: int, size: int) -> list[list[int]]:
    """Places of inputs spread evenly over all of them, as batches; the same input twice only to fill a batch."""
    batches = min(batches, max(1, count // size))
    places = np.linspace(0, count - 1, batches * size).astype(int).tolist()
    return [places[start : start + size] for start in range(0, len(places), size)]


def _sentence(table: ScaleTable) -> str:
    """Which layers were narrowed, for whom and why; empty if none was."""
    layers: dict[str, list[str]] = {}
    nodes: Sequence[Node] = from_onnx(table.graph).weighted
    for node in nodes:
        for name, narrowing in table.narrowed.items():
            if node.weight in narrowing.weights:
                decibels = narrowing.losses[node.weight][0]
                measured = f"{decibels:.0f} dB" if decibels < LOSSY else "possible"
                layers.setdefault(node.layer, []).append(f"{measured} on {name}")
    if not layers:
        return ""
    named = enumerated([f"{layer} ({', '.join(ratios)})" for layer, ratios in layers.items()])
    return f"weights kept within +-64 for CPUs without VNNI, where sums would saturate: {named}"


def enumerated(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    return ", ".join([*names[:NAMED], *([f"{len(names) - NAMED} more"] if len(names) > NAMED else [])])
