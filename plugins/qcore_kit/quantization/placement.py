"""Where Q/DQ goes: a function of the graph and the profile, never of names or classes."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from qcore.plugin import UsageError
from qcore_kit.quantization.graph import MOVING, WEIGHTED, Graph, Node
from qcore_kit.quantization.operations import WITHOUT_BIAS
from qcore_kit.quantization.profiles import Profile

SELECTING = MOVING - {"Concat"}
"""Moving operations with one computed input: a runtime drops the Q/DQ around them only where both sides are equal."""


@dataclass(frozen=True)
class Placement:
    """What is quantized.

    Attributes:
        tensors: Tensor -> the group whose scale it has; groups are named after their first tensor.
        weighted: Operations whose weights are quantized.
        plain: Names of the operations that read float values even of quantized tensors.
    """

    tensors: dict[str, str]
    weighted: tuple[Node, ...]
    plain: frozenset[str] = frozenset()

    def groups(self) -> dict[str, list[str]]:
        """Group -> its tensors."""
        groups: dict[str, list[str]] = {}
        for name, group in self.tensors.items():
            groups.setdefault(group, []).append(name)
        return groups


def place(graph: Graph, profile: Profile, excluded: Iterable[str] = ()) -> Placement:
    """Decide what is quantized for a runtime; the decode tail is not.

    Args:
        graph: The float graph.
        profile: Of the runtime.
        excluded: Names of further operations to leave float.
    """
    plain = frozenset(excluded) | _beyond(graph, profile)
    last = frozenset() if profile.last_layer else graph.last
    left = graph.tail | last | plain | _serving_none(graph, plain | last)
    body = [node for node in graph.nodes if node.name not in left]
    shared = _Shared()
    chosen = _every_output(graph, body, shared) if profile.every_output else _inputs(graph, body, shared)
    if profile.whole_silu:
        chosen -= _inside_silu(graph, chosen)
    for node in body:
        if profile.share_concat and node.op == "Concat":
            shared.join(*graph.read(node), *graph.made(node))
        if profile.share_add and _is_sum(graph, node):
            shared.join(*graph.read(node))
    ordered = [name for name in _tensors(graph) if name in chosen and name in graph.floats]
    first: dict[str, str] = {}
    tensors = {name: first.setdefault(shared.find(name), name) for name in ordered}
    weighted = tuple(
        node
        for node in body
        if node.op in WEIGHTED and node.weight and (node.inputs[0] in tensors or _moved_integers(graph, node, tensors))
    )
    return Placement(tensors, weighted, plain)


def _beyond(graph: Graph, profile: Profile) -> frozenset[str]:
    """Names of the operations that the runtime does not compute right in integers, and which therefore stay float."""
    return frozenset(
        node.name
        for node in graph.nodes
        if (wrong := node.variants & profile.float_variants) and not (wrong == {WITHOUT_BIAS} and _biased(graph, node))
    )


def _biased(graph: Graph, node: Node) -> bool:
    """Whether the sum behind a MatMul is its bias, as exporters write that of a layer on more than two dimensions."""
    readers = list(graph.after(node))
    return len(readers) == 1 and readers[0].op == "Add" and len(readers[0].inputs) == 1


def _moved_integers(graph: Graph, node: Node, tensors: Mapping[str, str]) -> bool:
    """Whether what a node reads first are quantized values that were only moved since."""
    waiting = [node.inputs[0]]
    while waiting:
        name = waiting.pop()
        maker = graph.producers.get(name)
        if name in tensors:
            continue
        if maker is None or not maker.moves:
            return False
        waiting += graph.read(maker)
    return True


def _serving_none(graph: Graph, excluded: frozenset[str]) -> frozenset[str]:
    """Names of the operations without weights whose results go to no weighted operation but excluded ones."""
    if not excluded:
        return frozenset()
    serving = {node.name for node in graph.weighted} - excluded
    for node in reversed(graph.nodes):
        if node.op not in WEIGHTED and any(reader.name in serving for reader in graph.after(node)):
            serving.add(node.name)
    return frozenset(node.name for node in graph.nodes if node.name not in serving) - graph.tail


def candidates(graph: Graph) -> list[str]:
    """Every tensor that some profile may quantize."""
    body = [node for node in graph.nodes if node.name not in graph.tail]
    touched = {name for node in body for name in (*node.inputs, *node.outputs)}
    return [name for name in _tensors(graph) if name in touched and name in graph.floats]


def matching(graph: Graph, patterns: Sequence[str]) -> frozenset[str]:
    """Names of the weighted operations whose layer or name fits one of the shell-style patterns.

    Raises:
        UsageError: A pattern fits none.
    """
    matched: set[str] = set()
    for pattern in patterns:
        hits = [
            node.name
            for node in graph.weighted
            if any(fnmatch.fnmatchcase(word, pattern) for word in (node.layer, node.name))
        ]
        if not hits:
            layers = [node.layer for node in graph.weighted]
            near = difflib.get_close_matches(pattern.strip("*."), layers, n=3, cutoff=0.5)
            nearest = f"nearest: {', '.join(near)}; " if near else ""
            raise UsageError(
                f"--exclude {pattern}: matches no quantizable layer",
                hint=f"{nearest}{len(layers)} layers, from {layers[0]} to {layers[-1]}; --explain lists them",
            )
        matched.update(hits)
    return frozenset(matched)


def _every_output(graph: Graph, body: list[Node], shared: _Shared) -> set[str]:
    """All that the body reads and makes; what a moving operation makes has the scale of what it reads."""
    chosen = {name for node in body for name in (*graph.read(node), *graph.made(node))}
    for node in body:
        if node.op in SELECTING and not node.makes_values:
            shared.join(*graph.read(node), *graph.made(node))
    return chosen - set(graph.outputs)


def _inputs(graph: Graph, body: list[Node], shared: _Shared) -> set[str]:
    """What weighted operations and sums read, looked for before the operations that only move it."""
    bodied = {node.name for node in body}
    chosen: set[str] = set()
    seen: set[str] = set()
    waiting = [name for node in body if _needs_integers(graph, node) for name in graph.read(node)]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        maker = graph.producers.get(name)
        if maker and (maker.moves or maker.averages) and maker.name in bodied:
            if maker.op != "Concat":
                shared.join(*graph.read(maker), name)
            if maker.averages:
                chosen.add(name)
            waiting += graph.read(maker)
        else:
            chosen.add(name)
    return chosen


def _needs_integers(graph: Graph, node: Node) -> bool:
    return (node.op in WEIGHTED and node.weight is not None) or _is_sum(graph, node)


def _is_sum(graph: Graph, node: Node) -> bool:
    return node.op in {"Add", "Sum"} and len(graph.read(node)) > 1


def _inside_silu(graph: Graph, chosen: set[str]) -> set[str]:
    """Gates, and what only a SiLU reads."""
    gates = {name for gate in graph.silus.values() for name in gate.outputs}
    return (gates | graph.gated()) & chosen


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
