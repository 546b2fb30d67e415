"""The scale table: what every calibrating quantizer makes, and all that the writer needs beside the float graph."""

from __future__ import annotations

import hashlib
import json
import math
import reprlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qcore.plugin import AssumptionWarning, CheckFailed

if TYPE_CHECKING:
    import onnx

    from qcore.plugin import Session
    from qcore_kit.quantization.graph import Graph
    from qcore_kit.quantization.placement import Placement
    from qcore_kit.quantization.profiles import Profile

LIMITS = {"u8": (0, 255), "s8": (-128, 127)}
"""Smallest and largest value of each integer type."""


@dataclass(frozen=True)
class Range:
    """Which values a tensor takes.

    Attributes:
        low: Smallest.
        high: Largest.
        source: How that was found out.
        amax: Largest magnitude that a symmetric scale shall reach, where that is not the larger end: a trained one.
    """

    low: float
    high: float
    source: str = ""
    amax: float | None = None

    def joined(self, other: Range) -> Range:
        """A range that holds both."""
        trained = None if self.amax is None and other.amax is None else max(self.largest, other.largest)
        return Range(min(self.low, other.low), max(self.high, other.high), self.source, trained)

    @property
    def largest(self) -> float:
        """Magnitude that a symmetric scale reaches."""
        return max(abs(self.low), abs(self.high)) if self.amax is None else self.amax

    def quantization(self, activation: str, symmetric: bool) -> tuple[float, int]:
        """Scale and zero point; zero is always exact.

        Asymmetric: scale = (high - low) / 255. Symmetric: scale = `largest` / 127.

        Args:
            activation: `u8` or `s8`.
            symmetric: Put the zero point into the middle.
        """
        first, last = LIMITS[activation]
        if symmetric:
            return self.largest / 127, (first + last + 1) // 2
        low, high = min(self.low, 0.0), max(self.high, 0.0)
        scale = (high - low) / (last - first)
        return scale, int(np.clip(round(first - low / scale), first, last))


@dataclass(frozen=True)
class WeightScale:
    """Scales of a weight tensor.

    Attributes:
        axis: Of the output channels; None where one scale serves the whole weight.
        scale: One number a channel; the zero point is 0 and the type int8.
    """

    axis: int | None
    scale: np.ndarray

    def spread(self, dims: int) -> np.ndarray:
        """The scale in a shape that multiplies a weight of so many dimensions."""
        if self.axis is None:
            return self.scale.reshape(())
        return self.scale.reshape([-1 if place == self.axis else 1 for place in range(dims)])

    def narrowed(self, weight: np.ndarray) -> WeightScale:
        """Scales 127/64 as large, or larger where trained weights need it to stay within +-64."""
        largest = np.abs(weight).max(axis=tuple(place for place in range(weight.ndim) if place != self.axis))
        return WeightScale(self.axis, np.maximum(self.scale * (127 / 64), largest / 64).astype(np.float32))


@dataclass(frozen=True)
class Narrowing:
    """Which weights a profile keeps within +-64, so that sums of int8 products do not saturate on CPUs without VNNI.

    Attributes:
        mode: Value of the option `saturation`.
        weights: Names of those weights.
        losses: Weight -> signal-to-noise ratio in dB and largest sum of a pair as a part of what int16 holds, measured
            with 8 bits; empty where nothing was measured.
        inputs: How many inputs were measured.
    """

    mode: str
    weights: frozenset[str] = frozenset()
    losses: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    inputs: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        losses = {name: list(loss) for name, loss in sorted(self.losses.items())}
        return {"mode": self.mode, "weights": sorted(self.weights), "losses": losses, "inputs": self.inputs}

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Narrowing:
        """The inverse of `to_dict`."""
        losses = {name: (float(decibels), float(ratio)) for name, (decibels, ratio) in said["losses"].items()}
        return cls(said["mode"], frozenset(said["weights"]), losses, int(said["inputs"]))


@dataclass(frozen=True)
class ScaleTable:
    """Ranges of activations and scales of weights, by the tensor names of a float graph.

    Attributes:
        graph: The float ONNX graph.
        ranges: Of activations.
        weights: Of weights, with which they reach +-127.
        excluded: Names of the operations that stay float.
        narrowed: Profile -> which weights reach +-64 only.
        simulate: Gives, for a profile, a session that runs the fake-quantized network this table was made from; None
            where there is no such network.
    """

    graph: onnx.ModelProto = field(repr=False)
    ranges: Mapping[str, Range]
    weights: Mapping[str, WeightScale]
    excluded: frozenset[str] = frozenset()
    narrowed: Mapping[str, Narrowing] = field(default_factory=dict)
    simulate: Callable[[ScaleTable, Profile], Session] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def make(
        cls,
        graph: onnx.ModelProto,
        ranges: Mapping[str, Range],
        weights: Mapping[str, WeightScale],
        *,
        needed: Iterable[str],
        excluded: Iterable[str] = (),
        narrowed: Mapping[str, Narrowing] | None = None,
        simulate: Callable[[ScaleTable, Profile], Session] | None = None,
    ) -> ScaleTable:
        """A table that can be written: nothing missing, every scale a finite number above zero.

        Args:
            graph: The float graph.
            ranges: Of activations.
            weights: Of weights.
            needed: Tensors that must have a range.
            excluded: Operations that stay float.
            narrowed: See the attribute.
            simulate: See the attribute.

        Warns:
            AssumptionWarning: A tensor is 0 everywhere, such as a branch that does nothing: any scale serves.

        Raises:
            CheckFailed: A range is missing or not finite, or most are empty; or a weight scale is.
        """
        for name in needed:
            if name not in ranges:
                raise CheckFailed(f"tensor {name}: no range, because calibration recorded no values for it", hint=_HINT)
        empty = [name for name, range_ in ranges.items() if range_.low == range_.high == 0]
        if len(empty) > len(ranges) / 2:
            raise CheckFailed(f"tensor {empty[0]} is 0 everywhere on the calibration inputs", hint=_HINT)
        for name in empty:
            told = f"tensor {name} is 0 on all calibration inputs: it gets the range 0 to 1"
            warnings.warn(told, AssumptionWarning, stacklevel=2)
        ranges = {**ranges, **{name: replace(ranges[name], high=1.0, amax=None) for name in empty}}
        for name, range_ in ranges.items():
            if not (math.isfinite(range_.low) and math.isfinite(range_.high)) or range_.low > range_.high:
                raise CheckFailed(f"tensor {name} has the range {range_.low}..{range_.high}", hint=_HINT)
            if range_.amax is not None and not (math.isfinite(range_.amax) and range_.amax > 0):
                raise CheckFailed(f"tensor {name} has a fixed maximum of {range_.amax}", hint=_HINT)
        for name, weight in weights.items():
            if not np.isfinite(weight.scale).all() or (weight.scale <= 0).any():
                raise CheckFailed(f"weight {name}: the scale must be finite and greater than 0", hint=_HINT)
        return cls(graph, dict(ranges), dict(weights), frozenset(excluded), dict(narrowed or {}), simulate)

    def excluding(self, names: Iterable[str]) -> ScaleTable:
        """The same table with more operations left float."""
        return replace(self, excluded=self.excluded | frozenset(names))

    def under(self, profile: Profile) -> ScaleTable:
        """The table that a profile is written from: weights that it narrows have scales with which they reach +-64."""
        chosen = self.narrowed[profile.name].weights & set(self.weights) if profile.name in self.narrowed else ()
        if not chosen:
            return self
        from onnx import numpy_helper

        stored = {tensor.name: tensor for tensor in self.graph.graph.initializer if tensor.name in chosen}
        narrow = {name: self.weights[name].narrowed(numpy_helper.to_array(stored[name])) for name in chosen}
        return replace(self, weights={**self.weights, **narrow}, narrowed={})

    def joined(self, placement: Placement) -> dict[str, Range]:
        """Group of a placement -> the range of all its tensors."""
        groups: dict[str, Range] = {}
        for name, group in placement.tensors.items():
            groups[group] = groups[group].joined(self.ranges[name]) if group in groups else self.ranges[name]
        return groups

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; the graph is not part of it."""
        return {
            "ranges": {
                name: [range_.low, range_.high, range_.source, *([range_.amax] if range_.amax is not None else [])]
                for name, range_ in sorted(self.ranges.items())
            },
            "weights": {
                name: {"axis": weight.axis, "scale": [float(value) for value in weight.scale]}
                for name, weight in sorted(self.weights.items())
            },
            "excluded": sorted(self.excluded),
            **(
                {"narrowed": {name: each.to_dict() for name, each in sorted(self.narrowed.items())}}
                if self.narrowed
                else {}
            ),
        }

    @classmethod
    def from_dict(cls, graph: onnx.ModelProto, said: Mapping[str, Any]) -> ScaleTable:
        """The table of `to_dict`, checked anew.

        Raises:
            CheckFailed: As `make`, or scales lie on another axis than the output channels.
        """
        from qcore_kit.quantization.graph import from_onnx

        weights = {
            name: WeightScale(found["axis"], np.array(found["scale"], np.float32))
            for name, found in said["weights"].items()
        }
        for name, axis in channel_axes(from_onnx(graph)).items():
            if name in weights and weights[name].axis != axis:
                raise CheckFailed(
                    f"weight {name} has scales on axis {reprlib.repr(weights[name].axis)}, its output channels are on "
                    f"axis {axis}",
                    hint="the table is of an earlier release: quantize again",
                )
        sizes = {tensor.name: list(tensor.dims) for tensor in graph.graph.initializer}
        if missing := sorted(set(channel_axes(from_onnx(graph))) & set(sizes) - set(weights)):
            raise CheckFailed(f"weight {missing[0]} has no scale", hint=_HINT)
        for name, weight in weights.items():
            channels = sizes[name][weight.axis] if weight.axis is not None and name in sizes else weight.scale.size
            if weight.scale.size != channels:
                raise CheckFailed(f"weight {name} has {weight.scale.size} scales for {channels} channels")
        ranges = {name: Range(*found) for name, found in said["ranges"].items()}
        narrowed = {name: Narrowing.from_dict(each) for name, each in said.get("narrowed", {}).items()}
        return cls.make(graph, ranges, weights, needed=(), excluded=said.get("excluded", ()), narrowed=narrowed)

    def sha256(self) -> str:
        """Of the canonical JSON."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


_HINT = "calibrate with more pictures, and with pictures like those the model will see"


def weight_scales(graph: Graph, proto: onnx.ModelProto) -> dict[str, WeightScale]:
    """Scales of every weight that can be quantized."""
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    scales = {}
    for name, axis in channel_axes(graph).items():
        if name in constants:
            scales[name] = weight_scale(numpy_helper.to_array(constants[name]), axis)
    return scales


def channel_axes(graph: Graph) -> dict[str, int | None]:
    """Weight -> axis of its output channels; None where several operations use it along different ones."""
    axes: dict[str, int | None] = {}
    for node in graph.weighted:
        name = str(node.weight)
        axes[name] = node.axis if axes.get(name, node.axis) == node.axis else None
    return axes


def weight_scale(weight: np.ndarray, axis: int | None) -> WeightScale:
    """Symmetric scales, max |w| / 127 a channel. A channel of zeros gets 1: any scale gives its zeros.

    Args:
        weight: The float tensor.
        axis: Of the output channels; None for one scale.
    """
    others = None if axis is None else tuple(place for place in range(weight.ndim) if place != axis)
    largest = np.atleast_1d(np.abs(weight).max(axis=others)) / 127
    return WeightScale(axis, np.where(largest == 0, 1.0, largest).astype(np.float32))
