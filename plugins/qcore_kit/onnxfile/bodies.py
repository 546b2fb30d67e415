"""One flat graph of a file with functions, or with the bodies of If, Loop and Scan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx
import onnx.inliner


def flattened(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same operations without nesting: functions inlined, bodies beside the operation that has them.

    For looking at, not for running: an If reads the results of both its branches, and what a Loop hands to its body is
    made by nobody. Names inside bodies that are taken get a number.

    Args:
        proto: Any model; it is not changed, and returned as it is where it has neither functions nor bodies.
    """
    if proto.functions:
        proto = onnx.inliner.inline_local_functions(proto)
    if not any(True for node in proto.graph.node for _ in bodies(node)):
        return proto
    flat = onnx.ModelProto()
    flat.CopyFrom(proto)
    del flat.graph.node[:]
    taken = {name for node in proto.graph.node for name in (*node.output, node.name)}
    taken |= {value.name for value in (*proto.graph.initializer, *proto.graph.input)}
    for node in proto.graph.node:
        _unfold(node, {}, flat.graph, taken)
    return flat


def bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that a node holds."""
    for entry in node.attribute:
        yield from [entry.g] if entry.HasField("g") else entry.graphs


def _unfold(node: onnx.NodeProto, names: dict[str, str], into: onnx.GraphProto, taken: set[str]) -> None:
    """Append a node, and before it what its bodies hold; `names` are those that differ from the file's."""
    ends = [end for body in bodies(node) for end in _body(body, dict(names), into, taken)]
    copy = into.node.add()
    copy.CopyFrom(node)
    kept = [entry for entry in node.attribute if not entry.HasField("g") and not entry.graphs]
    del copy.attribute[:], copy.input[:], copy.output[:]
    copy.attribute.extend(kept)
    copy.input.extend([*(names.get(name, name) for name in node.input), *ends])
    copy.output.extend(names.get(name, name) for name in node.output)


def _body(body: onnx.GraphProto, names: dict[str, str], into: onnx.GraphProto, taken: set[str]) -> Iterable[str]:
    """Append what a body holds; gives the names of its outputs."""
    own = [name for node in body.node for name in node.output]
    for name in (*(value.name for value in body.input), *(tensor.name for tensor in body.initializer), *own):
        names[name] = _free(name, taken)
    for tensor in body.initializer:
        stored = into.initializer.add()
        stored.CopyFrom(tensor)
        stored.name = names[tensor.name]
    for node in body.node:
        _unfold(node, names, into, taken)
        into.node[-1].name = _free(node.name, taken)
    return [names.get(value.name, value.name) for value in body.output]


def _free(name: str, taken: set[str]) -> str:
    """The name, with a number where it is taken; it is taken then."""
    candidate, count = name, 1
    while name and candidate in taken:
        count += 1
        candidate = f"{name}_{count}"
    taken.add(candidate)
    return candidate
