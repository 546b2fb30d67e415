"""Which layers need weights within +-64 to be right on CPUs without VNNI, measured on a few inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from qcore.protocols import CalibrationData, Progress
from qcore.wording import counted
from qcore_plugins.quantization.graph import AVERAGING, MOVING, Graph, Node, from_onnx
from qcore_plugins.quantization.placement import Placement, place
from qcore_plugins.quantization.products import Products
from qcore_plugins.quantization.profiles import PROFILES, Profile
from qcore_plugins.quantization.saturation import Loss, can_saturate, measure, sampled
from qcore_plugins.quantization.table import Narrowing, ScaleTable
from qcore_plugins.quantization.writer import quantized

INPUTS = 8
"""How many calibration inputs are measured."""
POSITIONS = 100
"""Outputs of each layer that are computed for an input."""
ENOUGH = 40.0
"""Signal-to-noise ratio in dB below which a layer is narrowed. YOLOv5n on CPUs without VNNI: the first convolution has
14 dB and costs .05 AP, all other layers with asymmetric activations have more than 50 dB and cost nothing."""
NAMED = 3
"""Layers that a sentence names."""


def narrowed(table: ScaleTable, data: CalibrationData, mode: str, progress: Progress) -> ScaleTable:
    """The table with the layers chosen that each profile narrows; says which.

    `selective` chooses layers below `ENOUGH`, and first layers, which read pictures, if any input could make them
    saturate. `everywhere` chooses all, so that nothing has to be measured. `ignore` chooses none.

    Args:
        table: Made for 8 bits throughout.
        data: The calibration inputs.
        mode: As above.
        progress: Shows the measurement.
    """
    profiles = [profile for profile in PROFILES.values() if profile.kernels]
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
    made = replace(table, narrowed={name: watcher.narrowing(inputs) for name, watcher in watchers.items()})
    if sentence := _sentence(made):
        progress.say(sentence)
    return made


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
        self.table, self.profile, self.graph = table, profile, from_onnx(table.graph)
        placement, joined = place(self.graph, profile, table.excluded), {}
        for group, found in table.joined(placement).items():
            joined[group] = found.quantization(profile.activation, profile.symmetric)
        self.products = dict(_products(table, placement))
        self.units: dict[str, tuple[str, float, int]] = {}
        for node in placement.weighted:
            source = _quantized_source(self.graph, placement, node.inputs[0])
            if source is not None and node.name in self.products:
                scale, point = joined[source]
                self.units[node.name] = (node.inputs[0], scale, point + (128 if profile.activation == "s8" else 0))
        self.nodes = [node for node in placement.weighted if node.name in self.units]
        self.losses: dict[str, Loss] = {}

    def add(self, tensors: Mapping[str, np.ndarray], positions: int, seed: int) -> None:
        """The tensors of one batch, by name, of which so many outputs of each layer are computed."""
        for node in self.nodes:
            name, unit, point = self.units[node.name]
            products, weight = self.products[node.name], str(node.weight)
            loss = measure(
                products,
                tensors[name],
                point,
                self.profile.kernels,
                scale=self.table.weights[weight].scale,
                places=sampled(products, tensors[name].shape, positions, seed),
                unit=unit,
            )
            self.losses[weight] = self.losses.get(weight, Loss()) + loss

    def narrowing(self, inputs: int) -> Narrowing:
        """What follows from all inputs."""
        chosen = {name for name, loss in self.losses.items() if loss.decibels < ENOUGH}
        for node in self.nodes:
            if node.name in self.graph.first and can_saturate(
                self.products[node.name], self.profile.kernels, self.units[node.name][2]
            ):
                chosen.add(str(node.weight))
        losses = {name: (round(loss.decibels, 2), round(loss.ratio, 4)) for name, loss in self.losses.items()}
        return Narrowing("selective", frozenset(chosen), losses, inputs)


def _products(table: ScaleTable, placement: Placement) -> Iterator[tuple[str, Products]]:
    """Name of each operation whose weight is quantized -> the operation in integers."""
    stored = {tensor.name: tensor for tensor in table.graph.graph.initializer}
    nodes = {node.name or node.output[0]: node for node in table.graph.graph.node}
    for node in placement.weighted:
        known = table.weights.get(str(node.weight))
        if known is None or node.weight not in stored:
            continue
        steps = quantized(numpy_helper.to_array(stored[node.weight]), known.scale, known.axis)
        attributes = {each.name: helper.get_attribute_value(each) for each in nodes[node.name].attribute}
        yield node.name, Products.of(node.op, steps, attributes)


def _quantized_source(graph: Graph, placement: Placement, name: str) -> str | None:
    """The group whose scale a tensor has, looked for before the operations that only move it."""
    while name not in placement.tensors:
        maker = graph.producers.get(name)
        if maker is None or maker.op not in MOVING | AVERAGING or not maker.inputs:
            return None
        name = maker.inputs[0]
    return placement.tensors[name]


def _tensors(
    table: ScaleTable, watchers: Any, data: CalibrationData, progress: Progress
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Batches of `INPUTS` of the calibration inputs: how many there are in it, and what the watched operations read."""
    import onnxruntime

    wanted = sorted({name for watcher in watchers for name, _, _ in watcher.units.values()})
    if not wanted:
        return
    copy = onnx.ModelProto()
    copy.CopyFrom(table.graph)
    given = {value.name for value in copy.graph.input}
    handed = {value.name for value in copy.graph.output}
    copy.graph.output.extend(helper.make_empty_tensor_value_info(n) for n in wanted if n not in given | handed)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
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
                measured = f"{decibels:.0f} dB" if decibels < ENOUGH else "possible"
                layers.setdefault(node.layer, []).append(f"{measured} on {name}")
    if not layers:
        return ""
    named = enumerated([f"{layer} ({', '.join(ratios)})" for layer, ratios in layers.items()])
    return f"weights kept within +-64 for CPUs without VNNI, where sums would saturate: {named}"


def enumerated(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    return ", ".join([*names[:NAMED], *([f"{len(names) - NAMED} more"] if len(names) > NAMED else [])])
