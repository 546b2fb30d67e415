"""An exported program with modules of any make on the edges that a placement names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from qcore.plugin import Contract, QcoreError
from qcore_kit.quantization.graph import Graph, Node, from_onnx
from qcore_kit.quantization.placement import Placement
from qcore_plugins._shared.exporter.onnx import Exported, export_both
from qcore_plugins._shared.folding import uncopied


def exported_for_training(module: nn.Module, contract: Contract) -> Exported:
    """A module in both forms, so that they agree.

    Raises:
        CheckFailed: As `export_both`.
        QcoreError: An operation of the ONNX graph is not where the program has it.
    """
    exported = export_both(module, contract)
    try:
        Network.of(exported)
    except QcoreError:
        exported = export_both(exported.simplified(), contract)
        Network.of(exported)
    return exported


@dataclass
class Network:
    """A float network in PyTorch whose tensors have the names of its ONNX graph.

    Attributes:
        graph: Of the ONNX file.
        module: The program, taking any batch; made anew by `Network.of`, so that it can be changed.
        nodes: Tensor of the ONNX graph -> node of the program. The gate inside a SiLU has none before `open_silus`.
    """

    graph: Graph
    module: fx.GraphModule
    nodes: dict[str, fx.Node] = field(repr=False)

    @classmethod
    def of(cls, exported: Exported) -> Network:
        """A network with parameters of its own; those of weighted operations can be trained.

        Raises:
            QcoreError: An operation of the ONNX graph is not where the program has it.
        """
        graph = from_onnx(exported.proto)
        module: fx.GraphModule = exported.program.module(check_guards=False)
        _own(module, exported.weights, _trainable(graph))
        nodes = _named(graph, module, exported.names)
        missing = (node for node in graph.weighted if node.outputs[0] not in nodes)
        for node in (*missing, *_differing(graph, nodes)):
            raise _different(node.layer)
        return cls(graph, module, nodes)

    def sharing(self, other: Network) -> None:
        """Use the weights of another network of the same program, so that training one trains both."""
        theirs = dict(other.module.named_parameters())
        for path in _trainable(self.graph) & set(theirs):
            owner, _, name = path.rpartition(".")
            setattr(self.module.get_submodule(owner), name, theirs[path])

    def to(self, device: torch.device) -> None:
        """Compute there: a program's constants are no buffers, and its operations name the device of the export."""
        self.module.to(device)
        for owner in self.module.modules():
            for name, value in list(vars(owner).items()):
                if isinstance(value, torch.Tensor):
                    setattr(owner, name, value.to(device))
        for node in list(self.module.graph.nodes):
            if node.target is torch.ops.aten._assert_tensor_metadata.default:
                self.module.graph.erase_node(node)
                continue
            node.args = tuple(device if isinstance(value, torch.device) else value for value in node.args)
            if "device" in node.kwargs:
                node.update_kwarg("device", device)
        self.module.recompile()

    def open_silus(self, wanted: Iterable[str]) -> None:
        """Make x * sigmoid(x) of each SiLU whose gate is among `wanted`, so that quantizers can go inside."""
        names = set(wanted)
        for product, gate in self.graph.silus.items():
            node = self.nodes.get(product)
            if gate.outputs[0] not in names or gate.outputs[0] in self.nodes or node is None:
                continue
            source = node.args[0]
            with self.module.graph.inserting_before(node):
                opened = self.module.graph.call_function(torch.ops.aten.sigmoid.default, (source,))
                multiplied = self.module.graph.call_function(torch.ops.aten.mul.Tensor, (source, opened))
            node.replace_all_uses_with(multiplied)
            self.module.graph.erase_node(node)
            self.nodes[product], self.nodes[gate.outputs[0]] = multiplied, opened

    def weight(self, node: Node) -> torch.Tensor:
        """The weight of a weighted operation."""
        weight: torch.Tensor = _attribute(self.module, str(node.weight))
        return weight

    def insert(
        self,
        placement: Placement,
        activation: Callable[[str], nn.Module],
        weight: Callable[[Node], nn.Module],
    ) -> None:
        """Put a module behind every tensor of the placement, one for each group, and behind every quantized weight.

        Args:
            placement: Of this graph.
            activation: Makes the module of a group.
            weight: Makes the module of a weighted operation's weight.
        """
        self.open_silus(placement.tensors)
        plain = {
            self.nodes[name]
            for known in self.graph.nodes
            if known.name in placement.plain
            for name in known.outputs
            if name in self.nodes
        }
        inserted: dict[str, str] = {}
        for name, group in placement.tensors.items():
            if name not in self.nodes and self._is_quantized_before(name, placement):
                continue
            if name not in self.nodes:
                raise _different(name)
            if group not in inserted:
                inserted[group] = f"quantizers.{len(inserted)}_{group.replace('.', '_')}"
                _add(self.module, inserted[group], activation(group))
            self._behind(self.nodes[name], inserted[group], plain)
        for node in placement.weighted:
            path = f"weight_quantizers.{node.outputs[0].replace('.', '_')}"
            _add(self.module, path, weight(node))
            reader = self.nodes[node.outputs[0]]
            with self.module.graph.inserting_before(reader):
                reader.update_arg(1, self.module.graph.call_module(path, (reader.args[1],)))
        self.module.graph.lint()
        self.module.recompile()

    def _is_quantized_before(self, name: str, placement: Placement) -> bool:
        """Whether a tensor holds values that were rounded to the same steps before something moved them."""
        maker = self.graph.producers.get(name)
        if maker is None or not maker.moves:
            return False
        return all(placement.tensors.get(read) == placement.tensors[name] for read in self.graph.read(maker))

    def _behind(self, node: fx.Node, path: str, plain: Collection[fx.Node]) -> None:
        with self.module.graph.inserting_after(node):
            quantized = self.module.graph.call_module(path, (node,))
        kept = {quantized, *plain}
        node.replace_all_uses_with(quantized, delete_user_cb=lambda user: user not in kept)

    def giving(self, names: Iterable[str]) -> fx.GraphModule:
        """The part of the network that makes the named tensors, sharing weights and quantizers with the whole."""
        graph = fx.Graph()
        copied: dict[fx.Node, fx.Node] = {}
        graph.graph_copy(self.module.graph, copied)
        graph.output(tuple(copied[self.nodes[name]] for name in names))
        module = fx.GraphModule(self.module, graph)
        module.graph.eliminate_dead_code()
        module.delete_all_unused_submodules()
        module.recompile()
        return module


def _different(layer: str) -> QcoreError:
    return QcoreError(
        f"layer {layer}: the ONNX graph and the PyTorch program disagree about its tensor",
        hint="quantize the exported file instead: --quantizer onnxruntime",
    )


def _trainable(graph: Graph) -> set[str]:
    """Weights and biases of the operations that can be quantized."""
    return {name for node in graph.weighted for name in (node.weight, node.bias) if name is not None}


def _own(module: fx.GraphModule, weights: Mapping[str, torch.Tensor], trainable: Collection[str]) -> None:
    """Copy the parameters: a program hands out those of the module that it was made from."""
    for path, owner in module.named_modules():
        for name, value in list(owner.named_parameters(recurse=False)):
            whole = f"{path}.{name}" if path else name
            given = weights.get(whole, value).detach().clone()
            setattr(owner, name, nn.Parameter(given, requires_grad=whole in trainable))


def _merged(module: fx.GraphModule) -> dict[str, fx.Node]:
    """Make one of operations that compute the same, as the exporter does: name of each that went -> the one."""
    stands: dict[str, fx.Node] = {}
    known: dict[Any, fx.Node] = {}
    for node in list(module.graph.nodes):
        if node.op not in ("call_function", "get_attr") or node.is_impure():
            continue
        key = (node.op, node.target, _hashable(node.args), _hashable(node.kwargs))
        first = known.setdefault(key, node)
        if first is not node:
            node.replace_all_uses_with(first)
            stands[node.name] = first
            module.graph.erase_node(node)
    return stands


def _hashable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple((key, _hashable(each)) for key, each in sorted(value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(_hashable(each) for each in value)
    return value if isinstance(value, (fx.Node, int, float, str, bool, type(None))) else repr(value)


def _named(graph: Graph, module: fx.GraphModule, names: Mapping[str, str]) -> dict[str, fx.Node]:
    """Tensor of the ONNX graph -> node.

    Inputs and outputs go by place, weighted operations by their weight, those that share one in their order, parts of
    a split by number, the rest by name: the exporter writes some operations in terms of others, and those have names of
    their own.
    """
    nodes = {names.get(name, name): node for name, node in _merged(module).items()}
    weighted: dict[str, list[fx.Node]] = {}
    inputs: list[fx.Node] = []
    for node in module.graph.nodes:
        if node.op == "placeholder":
            inputs.append(node)
        elif node.op == "output":
            given = node.args[0] if isinstance(node.args[0], (tuple, list)) else node.args
            outputs = [value for value in given if isinstance(value, fx.Node)]
        elif node.op == "call_function":
            nodes[names.get(node.name, node.name)] = node
            if len(node.args) > 1 and isinstance(node.args[1], fx.Node) and node.args[1].op == "get_attr":
                weighted.setdefault(str(node.args[1].target), []).append(node)
    sharing = Counter(known.weight for known in graph.nodes)
    readers = {weight: iter(found) for weight, found in weighted.items() if len(found) == sharing[weight]}
    for known in graph.nodes:
        if known.weight in readers:
            nodes[known.outputs[0]] = next(readers[known.weight])
        elif known.op == "Split" and known.inputs[0] in nodes:
            nodes.update(_parts(known, nodes[known.inputs[0]]))
    nodes.update(zip(graph.inputs, inputs, strict=True))
    nodes.update(zip(graph.outputs, outputs, strict=True))
    return nodes


def _parts(known: Node, source: fx.Node) -> Iterator[tuple[str, fx.Node]]:
    """The nodes that take the parts of a split tensor."""
    for user in source.users:
        taken = {part.args[1]: part for part in user.users if getattr(part.target, "__name__", "") == "getitem"}
        if len(taken) == len(known.outputs):
            yield from ((name, taken[place]) for place, name in enumerate(known.outputs))
            return


def _differing(graph: Graph, nodes: Mapping[str, fx.Node]) -> Iterator[Node]:
    """Operations whose node in the program does not read what they read."""
    for known in graph.nodes:
        node = nodes.get(known.outputs[0])
        if node is None or known.op == "Split" or known.name in graph.tail:
            continue
        read = {each for given in node.all_input_nodes for each in (given, uncopied(given))}
        if not {nodes[name] for name in known.inputs if name in nodes} <= read:
            yield known


def _attribute(module: nn.Module, path: str) -> torch.Tensor:
    owner, _, name = path.rpartition(".")
    value: torch.Tensor = getattr(module.get_submodule(owner), name)
    return value


def _add(module: nn.Module, path: str, child: nn.Module) -> None:
    owner, _, name = path.rpartition(".")
    if not hasattr(module, owner):
        module.add_module(owner, nn.Module())
    module.get_submodule(owner).add_module(name, child)
