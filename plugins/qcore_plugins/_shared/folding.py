"""Folding BatchNorm, and whatever else is one convolution at inference, into convolutions."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import fx, nn
from torch.nn.utils import fusion

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, *TRANSPOSED)


class Affine(nn.Module):
    """A BatchNorm that no layer took up: `x * scale + shift`, each `[C]`, along axis 1."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        deviation = torch.sqrt(norm.running_var + norm.eps)
        scale = (1.0 if norm.weight is None else norm.weight.detach()) / deviation
        shift = (0.0 if norm.bias is None else norm.bias.detach()) - norm.running_mean * scale
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The values, channel by channel."""
        shape = (1, -1, *[1] * (x.dim() - 2))
        return x * self.get_buffer("scale").reshape(shape) + self.get_buffer("shift").reshape(shape)


def fold_batchnorm(module: nn.Module, probe: Sequence[torch.Tensor] = ()) -> nn.Module:
    """A copy of an eval-mode module with every convolution and the BatchNorm behind it made one convolution.

    A submodule with a method `folded()` is replaced by what that returns: blocks know best which of their parts
    follow each other. Of what is left, the exported graph tells which BatchNorm alone reads a convolution or a linear
    layer; any other becomes a multiplication and an addition. The input is not changed.

    Args:
        module: In eval mode, float32.
        probe: Inputs that it takes; needed where a BatchNorm is left.
    """
    folded = copy.deepcopy(module).eval()
    _fold(folded)
    if any(isinstance(each, NORMS) for each in folded.modules()):
        _fold_by_graph(folded, tuple(probe))
    return folded


def _fold(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if hasattr(child, "folded"):
            folded: Any = child
            setattr(module, name, folded.folded())
        else:
            _fold(child)


def _fold_by_graph(module: nn.Module, probe: tuple[torch.Tensor, ...]) -> None:
    """Fold what the graph shows to follow each other, and write the other norms as arithmetic, in place."""
    with torch.no_grad():
        graph = torch.export.export(module, probe).module(check_guards=False).graph
    for layer, norm in list(_pairs(module, graph)):
        _join(module.get_submodule(layer), module.get_submodule(norm))
        _replace(module, norm, nn.Identity())
    for path, each in list(module.named_modules()):
        if isinstance(each, NORMS) and each.running_var is not None:
            _replace(module, path, Affine(each))


def written_apart(program: torch.export.ExportedProgram) -> bool:
    """Whether ONNX has some operation in parts, with weights or tensors that the program does not have."""
    return any(_is_wide(node) or _is_attention(node) for node in program.graph.nodes)


def as_products(program: torch.export.ExportedProgram) -> nn.Module:
    """The program's module with linear layers of more than two axes, and attention, as products of matrices.

    ONNX has such a layer as a product with the transposed weight; with a transposed parameter both have the same one.
    """
    module: fx.GraphModule = program.module(check_guards=False)
    graph = module.graph
    wide = {node for node in graph.nodes if _is_wide(node)}
    for path in sorted({str(node.args[1].target) for node in wide}):
        readers = [user for node in graph.nodes if _is_attribute(node) and node.target == path for user in node.users]
        if set(readers) <= wide:
            _transpose(module, path)
            for node in readers:
                _multiply(graph, node)
    for node in [node for node in graph.nodes if _is_attention(node)]:
        _attend(graph, node)
    graph.lint()
    module.recompile()
    return module


def without_whole_slices(module: fx.GraphModule) -> fx.GraphModule:
    """The same module, changed in place, without slices that take everything."""
    for node in list(module.graph.nodes):
        if node.target is not torch.ops.aten.slice.Tensor:
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
    aten = torch.ops.aten
    while node.target in (aten.clone.default, aten.contiguous.default, aten.alias.default, aten.detach.default):
        copied = node.args[0]
        assert isinstance(copied, fx.Node)  # noqa: S101 - they copy tensors
        node = copied
    return node


def _is_wide(node: fx.Node) -> bool:
    """Whether a node is a linear layer of a stored weight, which a program is given, on more than two axes."""
    if node.target is not torch.ops.aten.linear.default or _axes(node.args[0]) < 3:
        return False
    weight = node.args[1]
    return isinstance(weight, fx.Node) and weight.op in ("get_attr", "placeholder")


def _is_attention(node: fx.Node) -> bool:
    """Whether a node is an attention over everything, without a mask."""
    plain = node.target is torch.ops.aten.scaled_dot_product_attention.default and len(node.args) == 3
    return plain and not set(node.kwargs) - {"scale"}


def _attend(graph: fx.Graph, node: fx.Node) -> None:
    """softmax(q k^T scale) v, of "Attention Is All You Need" (arXiv:1706.03762), equation 1."""
    given: Any = node.args
    query, key, value = given
    scale = node.kwargs.get("scale") or float(query.meta["val"].shape[-1]) ** -0.5
    aten = torch.ops.aten
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
        made = graph.call_function(torch.ops.aten.matmul.default, (read, weight))
        if bias and bias[0] is not None:
            made = graph.call_function(torch.ops.aten.add.Tensor, (made, bias[0]))
    node.replace_all_uses_with(made)
    graph.erase_node(node)


def _pairs(module: nn.Module, graph: fx.Graph) -> Iterator[tuple[str, str]]:
    """(path of a layer, path of the norm that alone reads what it makes), of modules that are used often, too."""
    layers: dict[str, list[fx.Node]] = {}
    norms: dict[str, list[fx.Node]] = {}
    for node in graph.nodes:
        owner = _owner(node)
        if owner is None or not isinstance(known := _module(module, owner), (*LAYERS, *NORMS)):
            continue
        (layers if isinstance(known, LAYERS) else norms).setdefault(owner, []).append(node)
    for layer, makers in layers.items():
        readers = [user for node in makers for user in node.users]
        followed = {owner for owner in norms if set(readers) <= set(norms[owner])}
        for norm in followed:
            same = [node.args[0] for node in norms[norm]]
            if len(readers) == len(makers) and set(same) == set(makers) and _joins(module, layer, norm):
                yield layer, norm


def _owner(node: fx.Node) -> str | None:
    """Path of the module whose weight an operation reads as its second argument."""
    if node.op != "call_function" or len(node.args) < 2 or not isinstance(node.args[1], fx.Node):
        return None
    weight = node.args[1]
    if weight.op != "get_attr":
        return None
    owner, _, name = str(weight.target).rpartition(".")
    return owner if name == "weight" else None


def _module(module: nn.Module, path: str) -> nn.Module | None:
    try:
        return module.get_submodule(path)
    except AttributeError:
        return None


def _joins(module: nn.Module, layer: str, norm: str) -> bool:
    maker: Any
    reader: Any
    maker, reader = module.get_submodule(layer), module.get_submodule(norm)
    grouped = isinstance(maker, TRANSPOSED) and maker.groups > 1
    return not grouped and reader.running_var is not None


def _join(layer: Any, norm: Any) -> None:
    """Give a layer the weight and bias with which it computes what the norm made of it."""
    statistics = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    if isinstance(layer, nn.Linear):
        weight, bias = fusion.fuse_linear_bn_weights(layer.weight, layer.bias, *statistics)
    else:
        transposed = isinstance(layer, TRANSPOSED)
        weight, bias = fusion.fuse_conv_bn_weights(layer.weight, layer.bias, *statistics, transpose=transposed)
    layer.weight, layer.bias = nn.Parameter(weight.detach()), nn.Parameter(bias.detach())


def _replace(module: nn.Module, path: str, child: nn.Module) -> None:
    owner, _, name = path.rpartition(".")
    setattr(module.get_submodule(owner), name, child)
