"""Folding BatchNorm, and whatever else is one convolution at inference, into convolutions."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx, nn
from torch.nn.utils import fusion

aten = torch.ops.aten
NORM = aten.batch_norm.default
TRANSPOSED = {aten.conv_transpose1d.default, aten.conv_transpose2d.input, aten.conv_transpose3d.input}
CONVOLUTIONS = {aten.conv1d.default, aten.conv2d.default, aten.conv3d.default, *TRANSPOSED}
GROUPS = 6
"""Place of `groups` among the arguments of a transposed convolution."""


def fold_batchnorm(module: nn.Module) -> nn.Module:
    """A copy of an eval-mode module with every convolution and the BatchNorm behind it made one convolution.

    A submodule with a method `folded()` is replaced by what that returns: blocks know best which of their parts
    follow each other. What is left, `in_parts` folds by the exported graph. The input is not changed.

    Args:
        module: In eval mode, float32.
    """
    folded = copy.deepcopy(module).eval()
    _fold(folded)
    return folded


def _fold(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if hasattr(child, "folded"):
            folded: Any = child
            setattr(module, name, folded.folded())
        else:
            _fold(child)


def written_apart(program: torch.export.ExportedProgram) -> bool:
    """Whether ONNX has some operation in other parts, with weights or tensors that the program does not have."""
    return any(node.target is NORM or _is_wide(node) or _is_attention(node) for node in program.graph.nodes)


def in_parts(program: torch.export.ExportedProgram) -> nn.Module:
    """The program's module with the parts that ONNX has.

    - BatchNorm that alone reads a convolution or a linear layer is folded into it; any other is a multiplication and an
      addition, channel by channel.
    - Linear layers of more than two axes are products with a transposed parameter, as ONNX has them.
    - Attention without a mask is products of matrices around a softmax.
    """
    module: fx.GraphModule = program.module(check_guards=False)
    graph = module.graph
    for makers, norms in list(_pairs(graph)):
        _join(module, makers, norms)
    for place, node in enumerate([node for node in graph.nodes if _is_norm(node)]):
        _scale(module, node, f"norm_{place}")
    wide = {node for node in graph.nodes if _is_wide(node)}
    for path in sorted({str(node.args[1].target) for node in wide}):
        readers = [user for node in graph.nodes if _is_attribute(node) and node.target == path for user in node.users]
        if set(readers) <= wide:
            _transpose(module, path)
            for node in readers:
                _multiply(graph, node)
    for node in [node for node in graph.nodes if _is_attention(node)]:
        _attend(graph, node)
    graph.eliminate_dead_code()
    graph.lint()
    module.recompile()
    return module


def _is_norm(node: fx.Node) -> bool:
    """Whether a node is a BatchNorm with stored statistics."""
    given: Any = node.args
    return node.target is NORM and all(map(_is_attribute, given[3:5])) and not given[5]


def _pairs(graph: fx.Graph) -> Iterator[tuple[list[fx.Node], list[fx.Node]]]:
    """Uses of one layer, and the uses of the one BatchNorm that alone reads what they make."""
    layers: dict[str, list[fx.Node]] = {}
    for node in graph.nodes:
        if _is_layer(node):
            weight: Any = node.args[1]
            layers.setdefault(str(weight.target), []).append(node)
    for path, makers in layers.items():
        norms = [user for node in makers for user in node.users]
        alone = all(len(node.users) == 1 for node in makers) and all(_is_norm(norm) for norm in norms)
        stored = {tuple(str(value) for value in norm.args[1:]) for norm in norms}
        fed = all(norm.args[0] in makers for norm in norms)
        weights = [node for node in graph.nodes if _is_attribute(node) and node.target == path]
        shared = {user for node in weights for user in node.users} != set(makers)
        if alone and fed and len(stored) == 1 and not shared:
            yield makers, norms


def _is_layer(node: fx.Node) -> bool:
    """Whether a node is a layer whose output channels are the axis that a BatchNorm behind it has."""
    given: Any = node.args
    if node.op != "call_function" or len(given) < 2 or not _is_attribute(given[1]):
        return False
    if node.target in TRANSPOSED:
        return len(given) <= GROUPS or given[GROUPS] == 1
    return node.target in CONVOLUTIONS or (node.target is aten.linear.default and _axes(given[0]) == 2)


def _join(module: fx.GraphModule, makers: list[fx.Node], norms: list[fx.Node]) -> None:
    """Give a layer the weight and bias with which it computes what the norm made of it."""
    first: Any = makers[0].args
    scale, shift, mean, variance, _, _, epsilon = norms[0].args[1:8]
    bias = first[2] if len(first) > 2 else None
    given = [_value(module, each) for each in (mean, variance)]
    more = [_value(module, each) for each in (scale, shift)]
    fused: Any = (_value(module, first[1]), _value(module, bias), *given, epsilon, *more)
    if makers[0].target is aten.linear.default:
        weight, moved = fusion.fuse_linear_bn_weights(*fused)
    else:
        joined: Any = fusion.fuse_conv_bn_weights
        weight, moved = joined(*fused, transpose=makers[0].target in TRANSPOSED)
    path = str(first[1].target)
    owner, _, name = path.rpartition(".")
    _set(module, path, weight)
    stored = f"{owner}.{name.removesuffix('weight')}bias" if owner else f"{name.removesuffix('weight')}bias"
    _set(module, stored, moved)
    for maker, norm in zip(makers, norms, strict=True):
        maker_args: Any = maker.args
        with module.graph.inserting_before(maker):
            maker.args = (*maker_args[:2], module.graph.get_attr(stored), *maker_args[3:])
        norm.replace_all_uses_with(maker)
        module.graph.erase_node(norm)


def _scale(module: fx.GraphModule, node: fx.Node, name: str) -> None:
    """A BatchNorm as `x * scale + shift`, each `[C, 1, ...]`."""
    read, scale, shift, mean, variance, _, _, epsilon, *_ = node.args
    factor = torch.rsqrt(_value(module, variance) + epsilon)
    if scale is not None:
        factor = factor * _value(module, scale)
    moved = -_value(module, mean) * factor
    if shift is not None:
        moved = moved + _value(module, shift)
    shape = (-1, *[1] * (_axes(read) - 2))
    for suffix, value in (("scale", factor), ("shift", moved)):
        module.register_buffer(f"{name}_{suffix}", value.detach().reshape(shape))
    graph = module.graph
    with graph.inserting_before(node):
        scaled = graph.call_function(aten.mul.Tensor, (read, graph.get_attr(f"{name}_scale")))
        made = graph.call_function(aten.add.Tensor, (scaled, graph.get_attr(f"{name}_shift")))
    made.meta = dict(node.meta)
    node.replace_all_uses_with(made)
    graph.erase_node(node)


def _value(module: fx.GraphModule, node: Any) -> Any:
    """The stored tensor that a node gives; None for none."""
    if node is None:
        return None
    owner, _, name = str(node.target).rpartition(".")
    return getattr(module.get_submodule(owner), name)


def _set(module: fx.GraphModule, path: str, value: torch.Tensor) -> None:
    owner, _, name = path.rpartition(".")
    setattr(module.get_submodule(owner), name, nn.Parameter(value.detach()))


def without_whole_slices(module: fx.GraphModule) -> fx.GraphModule:
    """The same module, changed in place, without slices that take everything."""
    for node in list(module.graph.nodes):
        if node.target is not aten.slice.Tensor:
            continue
        given: Any = node.args
        start, end, step = [*given, *(None, 0, None, None, 1)[len(given) :]][2:]
        if start in (None, 0) and end in (None, 2**63 - 1) and step == 1:
            node.replace_all_uses_with(given[0])
            module.graph.erase_node(node)
    module.graph.lint()
    module.recompile()
    return module


def uncopied(node: fx.Node) -> fx.Node:
    """What a node is a copy of, or the node itself: ONNX has no copies."""
    while node.target in (aten.clone.default, aten.contiguous.default, aten.alias.default, aten.detach.default):
        copied = node.args[0]
        assert isinstance(copied, fx.Node)  # noqa: S101 - they copy tensors
        node = copied
    return node


def _is_wide(node: fx.Node) -> bool:
    """Whether a node is a linear layer of a stored weight, which a program is given, on more than two axes."""
    if node.target is not aten.linear.default or _axes(node.args[0]) < 3:
        return False
    weight = node.args[1]
    return isinstance(weight, fx.Node) and weight.op in ("get_attr", "placeholder")


def _is_attention(node: fx.Node) -> bool:
    """Whether a node is an attention over everything, without a mask."""
    plain = node.target is aten.scaled_dot_product_attention.default and len(node.args) == 3
    return plain and not set(node.kwargs) - {"scale"}


def _attend(graph: fx.Graph, node: fx.Node) -> None:
    """softmax(q k^T scale) v, of "Attention Is All You Need" (arXiv:1706.03762), equation 1."""
    given: Any = node.args
    query, key, value = given
    scale = node.kwargs.get("scale") or float(query.meta["val"].shape[-1]) ** -0.5
    with graph.inserting_before(node):
        turned = graph.call_function(aten.transpose.int, (key, -2, -1))
        scores = graph.call_function(aten.matmul.default, (query, turned))
        scaled = graph.call_function(aten.mul.Tensor, (scores, scale))
        weights = graph.call_function(aten.softmax.int, (scaled, -1))
        made = graph.call_function(aten.matmul.default, (weights, value))
    node.replace_all_uses_with(made)
    graph.erase_node(node)


def _axes(node: Any) -> int:
    return len(node.meta["val"].shape)


def _is_attribute(node: Any) -> bool:
    return isinstance(node, fx.Node) and node.op == "get_attr"


def _transpose(module: fx.GraphModule, path: str) -> None:
    owner, _, name = path.rpartition(".")
    held = module.get_submodule(owner)
    setattr(held, name, nn.Parameter(getattr(held, name).detach().T.contiguous()))


def _multiply(graph: fx.Graph, node: fx.Node) -> None:
    """A linear layer as a product and a sum."""
    given: Any = node.args
    read, weight, *bias = given
    with graph.inserting_before(node):
        made = graph.call_function(aten.matmul.default, (read, weight))
        if bias and bias[0] is not None:
            made = graph.call_function(aten.add.Tensor, (made, bias[0]))
    node.replace_all_uses_with(made)
    graph.erase_node(node)
