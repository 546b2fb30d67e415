"""Rules on what is quantized of a layer: input, weights, result, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from qcore_kit.checks import Documented, Hit, Subject
from qcore_kit.onnxfile.view import QUANTIZE, whole
from qcore_kit.quantization.graph import WEIGHTED, Graph, Node


class UnfoldedBatchNorm(Documented):
    """BatchNormalization is not folded into the preceding convolution.

    Why: the convolution's scales are those of other weights than the ones that run: runtimes fold it when they load the
    file (measured: equal times on OpenVINO and ONNX Runtime, equal engines), and calibration did not see that.

    Fix: fold before quantizing; qcore's exporter does.
    """

    id = "QDQ015"
    severity = "info"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each one whose input only it reads, made by a convolution."""
        view = subject.derived(whole)
        for node in view.graph.nodes:
            if node.op != "BatchNormalization" or not node.inputs:
                continue
            maker = view.graph.producers.get(node.inputs[0])
            if maker is not None and maker.op in WEIGHTED and len(view.graph.consumers[node.inputs[0]]) == 1:
                yield Hit(node.name, f"behind {maker.name}")


class FloatBetween(Documented):
    """Float convolution between quantized convolutions.

    Left out is what the contract says was left float (`--exclude`, `--max-drop`), and the last convolutions.

    Why: its input is dequantized and its result quantized again: two passes over memory more, and the convolution
    itself at float speed.

    Fix: quantize it too, or keep the reason in the contract: `qcore quantize --exclude` does.
    """

    id = "QDQ016"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each one whose nearest weighted operations, before and behind, are all quantized."""
        view = subject.derived(whole)
        meant = _left_float(subject)
        state = {node.name: bool(given and weight) for node, _, given, weight in view.weighted()}
        for node, _, _, weight in view.weighted():
            if weight is not None or node.layer in meant or node.name in view.graph.last:
                continue
            before = _nearest(view.graph, node, back=True)
            behind = _nearest(view.graph, node, back=False)
            if before and behind and all(state.get(name, False) for name in before | behind):
                yield Hit(node.name, f"{node.layer} is float between {min(before)} and {min(behind)}")


class FloatWeights(Documented):
    """Quantized weights are stored as float with Q/DQ, not as integers.

    Why: the file holds float weights and their scales: it is larger than the float model's. Runtimes compute the
    integers when they load it.

    Fix: `qcore export MODEL.qtable` stores integers; the writer does so for every target.
    """

    id = "QDQ017"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each weight that a Q reads."""
        view = subject.derived(whole)
        for node, stored, _, weight in view.weighted():
            reads = view.makers.get(view.nodes[weight.node].input[0]) if weight is not None else None
            if reads is not None and reads.op_type == QUANTIZE:
                value = view.value(view.origin(stored.input[1]))
                size = f"{value.nbytes / 1e6:.2f} MB" if value is not None else "computed"
                yield Hit(node.name, f"{node.layer}: {size} of float weights")


class HalfQuantized(Documented):
    """Convolution has a quantized input but float weights.

    Why: no runtime computes that in integers; the Q/DQ costs time and digits and gains nothing.

    Fix: quantize the weights too, or neither.
    """

    id = "QDQ018"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each one but the last whose Q/DQ serves no other operation: no reader, nor, on ONNX Runtime, the maker."""
        view = subject.derived(whole)
        meant = _left_float(subject)
        for node, stored, _, weight in view.weighted():
            given = view.read(stored.input[0])
            plain = weight is None and node.inputs and node.layer not in meant and node.name not in view.graph.last
            if given is None or not plain:
                continue
            if len(view.graph.consumers.get(node.inputs[0], ())) > 1:
                continue
            maker = view.graph.producers.get(node.inputs[0])
            served = maker is not None and any(view.moved(name) for name in view.nodes[maker.name].input)
            if not (served and subject.target == "onnxruntime"):
                yield Hit(node.name, f"{node.layer} is float behind {given.node}")


class PerTensorWeights(Documented):
    """Weights have one scale instead of one per output channel.

    Why: channels differ in size by tens after BatchNorm is folded; the small ones then have a handful of steps.

    Fix: one scale for each output channel.
    """

    id = "QDQ019"
    severity = "info"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each weight of more than one channel."""
        for node, _, _, weight in subject.derived(whole).weighted():
            if weight is not None and weight.values is not None and weight.values.size == 1:
                yield Hit(node.name, f"{node.layer}: {weight}")


def _left_float(subject: Subject) -> set[str]:
    """Layers that were left float on demand."""
    quantization = subject.contract.provenance.get("quantization") if subject.contract else None
    return set((quantization or {}).get("left_float", ()))


def _nearest(graph: Graph, node: Node, *, back: bool) -> set[str]:
    """Names of the nearest weighted operations before or behind an operation."""
    weighted = {other.name for other in graph.weighted}
    waiting, nearest, seen = list(_next(graph, node, back)), set(), set()
    while waiting:
        other = waiting.pop()
        if other.name in seen:
            continue
        seen.add(other.name)
        if other.name in weighted:
            nearest.add(other.name)
        else:
            waiting += _next(graph, other, back)
    return nearest - {node.name}


def _next(graph: Graph, node: Node, back: bool) -> Iterable[Node]:
    if back:
        return (graph.producers[name] for name in node.inputs if name in graph.producers)
    return graph.after(node)


RULES = (UnfoldedBatchNorm, FloatBetween, FloatWeights, HalfQuantized, PerTensorWeights)
