"""What placement decided for each layer, and which rule decided it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from qcore_kit.quantization.graph import WEIGHTED, Graph, Node
from qcore_kit.quantization.placement import Placement
from qcore_kit.quantization.profiles import Profile


def layers(graph: Graph, names: Collection[str]) -> list[str]:
    """What a person calls the operations of these names, in the graph's order."""
    return [node.layer for node in graph.nodes if node.name in names]


def explained(
    graph: Graph, profile: Profile, placement: Placement, excluded: Collection[str]
) -> tuple[dict[str, Any], ...]:
    """One row for each operation that placement has a rule for.

    Args:
        graph: The float graph.
        profile: Of the runtime.
        placement: Of that graph under that profile.
        excluded: Names of the operations kept in float on request.
    """
    groups = placement.groups()
    rows = []
    for node in graph.nodes:
        rule = _rule(graph, profile, node, excluded)
        if rule is None:
            continue
        output = node.outputs[0]
        read = [name for name in node.inputs if name in placement.tensors]
        weighted = node in placement.weighted
        group = groups.get(placement.tensors.get(output, ""), [])
        rows.append(
            {
                "layer": node.layer,
                "operation": node.op,
                "quantized": "yes" if weighted else "inputs" if read and node.op not in WEIGHTED else "no",
                "type": f"{profile.activation} x s8" if weighted else profile.activation if read else "",
                "inputs": ", ".join(read),
                "shares": ", ".join(name for name in group if name != output),
                "rule": rule,
            }
        )
    return tuple(rows)


def _rule(graph: Graph, profile: Profile, node: Node, excluded: Collection[str]) -> str | None:
    learned = node.op in WEIGHTED and node.weight is not None
    beyond = node.variants & profile.float_variants
    if node.name in graph.tail:
        return "decode: behind the last weighted operations" if learned else None
    if learned and node.name in excluded:
        return "kept in float on request"
    if learned and node.name in graph.last and not profile.last_layer:
        return f"last before the decode: float under {profile.name}"
    if learned and not beyond:
        return "weighted: inputs per tensor, weights per channel"
    return (
        f"{min(beyond)}: float, {profile.name} computes it wrong in integers"
        if beyond
        else _other(graph, profile, node)
    )


def _other(graph: Graph, profile: Profile, node: Node) -> str | None:
    if node.outputs[0] in graph.silus:
        return "SiLU kept whole" if profile.whole_silu else "SiLU: every part quantized"
    if node.op == "Concat":
        return "branches share a scale" if profile.share_concat else "branches have scales of their own"
    if node.op in {"Add", "Sum"} and len(node.inputs) > 1:
        return "sum: both inputs, " + ("one scale" if profile.share_add else "scales of their own")
    if node.averages:
        return "averages: input and output share a scale"
    return "data movement: uses the scale of its input" if node.moves else None
