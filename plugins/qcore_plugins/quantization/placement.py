"""Where Q/DQ goes: a function of the graph and the profile, never of names or classes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from qcore_plugins.quantization.graph import MOVING, WEIGHTED, Graph, Node
from qcore_plugins.quantization.profiles import Profile

SELECTING = MOVING - {"Concat"}
"""Moving operations with one computed input: a runtime drops the Q/DQ around them only where both sides are equal."""


@dataclass(frozen=True)
class Placement:
    """What is quantized.

    Attributes:
        tensors: Tensor -> the group whose scale it has; groups are named after their first tensor.
        weighted: Operations whose weights are quantized.
    """

    tensors: dict[str, str]
    weighted: tuple[Node, ...]

    def groups(self) -> dict[str, list[str]]:
        """Group -> its tensors."""
        found: dict[str, list[str]] = {}
        for name, group in self.tensors.items():
            found.setdefault(group, []).append(name)
        return found


def place(graph: Graph, profile: Profile) -> Placement:
    """Decide what is quantized for a runtime; the decode tail is not."""
    left = graph.tail if profile.last_layer else graph.tail | graph.last
    body = [node for node in graph.nodes if node.name not in left]
    weighted = tuple(node for node in body if node.op in WEIGHTED and node.weight)
    shared = _Shared()
    chosen = _every_output(graph, body, shared) if profile.every_output else _inputs(graph, body, shared)
    if profile.whole_silu:
        chosen -= _inside_silu(graph, chosen)
    if profile.share_concat:
        for node in body:
            if node.op == "Concat":
                shared.join(*node.inputs, *node.outputs)
    ordered = [name for name in _tensors(graph) if name in chosen and name in graph.floats]
    first: dict[str, str] = {}
    return Placement({name: first.setdefault(shared.find(name), name) for name in ordered}, weighted)


def candidates(graph: Graph) -> list[str]:
    """Every tensor that some profile may quantize."""
    body = [node for node in graph.nodes if node.name not in graph.tail]
    touched = {name for node in body for name in (*node.inputs, *node.outputs)}
    return [name for name in _tensors(graph) if name in touched and name in graph.floats]


def _every_output(graph: Graph, body: list[Node], shared: _Shared) -> set[str]:
    """All that the body reads and makes; what a moving operation makes has the scale of what it reads."""
    chosen = {name for node in body for name in (*node.inputs, *node.outputs)}
    for node in body:
        if node.op in SELECTING:
            shared.join(*node.inputs, *node.outputs)
    return chosen - set(graph.outputs)


def _inputs(graph: Graph, body: list[Node], shared: _Shared) -> set[str]:
    """What weighted operations and sums read, looked for before the operations that only move it."""
    bodied = {node.name for node in body}
    chosen: set[str] = set()
    seen: set[str] = set()
    waiting = [name for node in body if _needs_integers(node) for name in node.inputs]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        maker = graph.producers.get(name)
        if maker and maker.op in MOVING and maker.name in bodied:
            if maker.op in SELECTING:
                shared.join(*maker.inputs, name)
            waiting += maker.inputs
        else:
            chosen.add(name)
    return chosen


def _needs_integers(node: Node) -> bool:
    return (node.op in WEIGHTED and node.weight is not None) or (node.op == "Add" and len(node.inputs) == 2)


def _inside_silu(graph: Graph, chosen: set[str]) -> set[str]:
    """Gates, and what only a SiLU reads."""
    inside: set[str] = set()
    for product, gate in graph.silus.items():
        inside.update(gate.outputs)
        readers = {node.name for node in graph.consumers[gate.inputs[0]]}
        if readers == {gate.name, graph.producers[product].name}:
            inside.update(gate.inputs)
    return inside & chosen


def _tensors(graph: Graph) -> Iterable[str]:
    yield from graph.inputs
    for node in graph.nodes:
        yield from node.outputs


class _Shared:
    """Disjoint sets of tensors that have one scale."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, name: str) -> str:
        """The representative of a tensor's set."""
        while (parent := self._parent.get(name, name)) != name:
            name = parent
        return name

    def join(self, *names: str) -> None:
        """One set for all of them."""
        for name in names[1:]:
            self._parent[self.find(name)] = self.find(names[0])
