"""What takes part in comparing two models: probes that look inside, and what collects the results of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from qcore.plugin import Arrays, Model
from qcore_kit.comparison.rung import Rung


@dataclass(frozen=True)
class Quantized:
    """How a tensor is rounded before a layer reads it, or after one has made it.

    Attributes:
        tensor: Its name.
        low: Lowest value that is left as it is; -inf where it makes no difference what lies further below.
        high: Highest such value.
        step: Distance of neighbouring values.
    """

    tensor: str
    low: float
    high: float
    step: float


class Inside(Protocol):
    """A model whose inner tensors can be asked for.

    Attributes:
        layers: Name of the tensor that each weighted operation makes -> shape of the operation's weight, in order.
        names: The same tensor -> what `Model.layers` and `exclude` call the operation, where that is known.
        tensors: Names of all tensors that can be asked for.
        remarks: What to know of the graph whatever it is fed: (name, line about it, hint).
    """

    layers: Mapping[str, tuple[int, ...]]
    names: Mapping[str, str]
    tensors: frozenset[str]
    remarks: Sequence[tuple[str, str, str]]

    def run(self, inputs: Arrays, names: Sequence[str]) -> Arrays:
        """The tensors of those names, for one inference."""

    def quantized(self, layer: str) -> Sequence[Quantized]:
        """How what a layer reads and makes is rounded, where that is constant."""


class Probe(Protocol):
    """Opens a model."""

    def open(self, model: Model) -> Inside:
        """The model, ready to be asked."""


class Comparison(Protocol):
    """Results of two models for the same inputs, collected one by one; memory does not grow with the inputs read.

    Attributes:
        labelled: Whether the data says what is right; then `items` are its inputs.
        items: What the preprocessor reads.
        steps: Names of the steps that it adds to the ladder.
    """

    labelled: bool
    items: Sequence[Any]
    steps: Sequence[str]

    def add(self, place: int, item: Any, raw: Any, reference: Any, candidate: Any) -> None:
        """The results of one input: its place among the items, the item, as it was read, both results."""

    def rungs(self) -> Iterable[Rung]:
        """What the ladder of `qcore compare` says of them: one step or more."""


@runtime_checkable
class Packs(Protocol):
    """A comparison whose inputs can be divided among processes or machines."""

    def packed(self, result: Any) -> Any:
        """A result as plain data that JSON can hold."""

    def unpacked(self, state: Any) -> Any:
        """The inverse; raises ValueError, TypeError, KeyError or IndexError where it is no such data."""
