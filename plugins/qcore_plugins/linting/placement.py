"""Rules on where Q/DQ stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from qcore.checking import Subject
from qcore_plugins.linting.rule import Documented, Hit
from qcore_plugins.linting.view import DEQUANTIZE, QUANTIZE, Scale, View
from qcore_plugins.quantization.graph import MOVING, WEIGHTED, Graph, Node

SCORES = {"Sigmoid", "Softmax"}
"""Operations whose results lie within 0..1."""
COARSE = 1 / 32
"""A scale from which on scores have no more than some thirty steps."""


class BoxesAndScores(Documented):
    """Boxes and scores quantized with one scale.

    Looked for behind the last convolutions: a concatenation of what a sigmoid or softmax made with something computed,
    and a scale of more than 1/32 on it.

    Why: one scale for coordinates of 0..640 and scores of 0..1 has steps of 2.5: every score becomes 0. On YOLOv5n,
    ONNX Runtime's `quantize_static` with defaults leaves no detections at all.

    Mend: leave everything behind the last convolutions float.
    """

    id = "QDQ010"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Q on such a concatenation, or on what is moved from it."""
        view = subject.derived(View)
        for name, scale in _decode(view):
            tensor = view.behind(view.nodes[name].input[0])
            if scale.values is not None and float(scale.values.max()) > COARSE and _mixed(view.graph, tensor):
                yield Hit(name, f"boxes and scores in steps of {float(scale.values.max()):.3g}")


class QuantizedDecode(Documented):
    """A decode in integers.

    What is computed behind the last convolutions: grids added, exponents, anchors multiplied, sums of bins. What the
    last convolutions give and what merely moves that is not meant.

    Why: it takes hardly any time, and coordinates then move in steps of range / 255: 2.5 pixels at 640. YOLOv5n with
    NNCF: AP .2892 with a float decode, .2887 without, and no faster.

    Mend: leave everything behind the last convolutions float.
    """

    id = "QDQ011"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Q on a computed tensor of the decode."""
        view = subject.derived(View)
        for name, scale in _decode(view):
            if not _moved_from_last(view.graph, view.behind(view.nodes[name].input[0])):
                yield Hit(name, f"{view.behind(view.nodes[name].input[0])} is quantized: {scale}")


class SplitSilu(Documented):
    """Q/DQ between x, sigmoid(x) and their product.

    Why: the runtime computes SiLU as one operation if it can see it, together with the convolution before it. Split,
    each is three passes over memory. YOLOv5n on OpenVINO: 18.5 ms split, 14.3 ms whole, and better AP. (ONNX Runtime
    has no such operation; there every part is quantized on purpose.)

    Mend: write the file for this runtime.
    """

    id = "QDQ012"
    targets = ("openvino", "tensorrt")

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each SiLU with a Q on its gate, or on an x that nothing else reads."""
        view = subject.derived(View)
        gated = view.graph.gated()
        for product, gate in view.graph.silus.items():
            parts = [name for name in (gate.inputs[0], *gate.outputs) if view.quantized(name)]
            if any(name in gated or name in gate.outputs for name in parts):
                yield Hit(view.graph.producers[product].name, f"Q/DQ on {', '.join(parts)}")


class BackToBack(Documented):
    """A Q/DQ pair directly behind another.

    Why: with one and the same scale the second pair does nothing, runtimes drop it; with another scale every value is
    rounded twice and a kernel is spent on it. (A pair of the same scale behind a concat is another thing, and fine.)

    Mend: one pair a tensor.
    """

    id = "QDQ013"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Q that reads a DQ."""
        view = subject.derived(View)
        for name, scale in view.activations.items():
            maker = view.makers.get(view.nodes[name].input[0])
            if maker is not None and maker.op_type == DEQUANTIZE:
                before = view.scale(maker)
                same = before.equals(scale)
                yield Hit(name, f"behind {before.node} " + ("(equal)" if same else f"({before}, then {scale})"))


class SeveralScales(Documented):
    """One tensor quantized several times with different scales.

    A quantizer for each module, rather than one for each tensor, does this wherever a tensor is read twice.

    Why: the operation that makes the tensor can write integers for one of them only; the others cost a pass over memory
    each.

    Mend: one scale a tensor.
    """

    id = "QDQ014"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each tensor with unequal Qs."""
        view = subject.derived(View)
        found: dict[str, list[Scale]] = {}
        for name, scale in view.activations.items():
            found.setdefault(view.behind(view.nodes[name].input[0]), []).append(scale)
        for tensor, scales in found.items():
            direct = [scale for scale in scales if not _behind_another(view, scale)]
            if len(direct) > 1 and not all(scale.equals(direct[0]) for scale in direct):
                yield Hit(tensor, "; ".join(f"{scale.node}: {scale}" for scale in direct))


class UnfoldedBatchNorm(Documented):
    """A BatchNormalization behind a convolution, not folded into it.

    Why: in a quantized graph it stands between the convolution and what follows, in float, and the convolution's
    scales are those of other weights. In a float graph runtimes fold it themselves.

    Mend: fold before quantizing; qcore's exporter does.
    """

    id = "QDQ015"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each one whose input only it reads, made by a convolution."""
        view = subject.derived(View)
        for node in view.graph.nodes:
            maker = view.graph.producers.get(node.inputs[0]) if node.op == "BatchNormalization" else None
            if maker is not None and maker.op in WEIGHTED and len(view.graph.consumers[node.inputs[0]]) == 1:
                yield Hit(node.name, f"behind {maker.name}", "warning" if view.is_quantized else "info")


class FloatBetween(Documented):
    """A float convolution between quantized ones.

    Left out is what the contract says was left float (`--exclude`, `--max-drop`), and the last convolutions.

    Why: its input is dequantized and its result quantized again: two passes over memory more, and the convolution
    itself at float speed.

    Mend: quantize it too, or keep the reason in the contract: `qcore quantize --exclude` does.
    """

    id = "QDQ016"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each one whose nearest weighted operations, before and behind, are all quantized."""
        view = subject.derived(View)
        said = subject.contract.provenance.get("quantization") or {} if subject.contract else {}
        meant = set(said.get("left_float", ()))
        state = {node.name: bool(given and weight) for node, _, given, weight in view.weighted()}
        for node, _, _, weight in view.weighted():
            if weight is not None or node.layer in meant or node.name in view.graph.last:
                continue
            before = _nearest(view.graph, node, back=True)
            behind = _nearest(view.graph, node, back=False)
            if before and behind and all(state.get(name, False) for name in before | behind):
                yield Hit(node.name, f"{node.layer} is float between {min(before)} and {min(behind)}")


class FloatWeights(Documented):
    """Float weights behind a Q/DQ pair.

    Why: the file holds float weights and their scales: it is larger than the float model's. Runtimes compute the
    integers when they load it.

    Mend: `qcore export MODEL.qtable` stores integers; the writer does so for every target.
    """

    id = "QDQ017"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each weight that a Q reads."""
        view = subject.derived(View)
        for node, stored, _, weight in view.weighted():
            made = view.makers.get(stored.input[1])
            reads = view.makers.get(made.input[0]) if made is not None and weight is not None else None
            if reads is not None and reads.op_type == QUANTIZE:
                value = view.value(view.behind(stored.input[1]))
                size = f"{value.nbytes / 1e6:.2f} MB" if value is not None else "computed"
                yield Hit(node.name, f"{node.layer}: {size} of float weights")


class HalfQuantized(Documented):
    """A convolution with quantized input and float weights.

    Why: no runtime computes that in integers; the Q/DQ costs time and digits and gains nothing.

    Mend: quantize the weights too, or neither.
    """

    id = "QDQ018"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each one whose own Q/DQ serves no other operation."""
        view = subject.derived(View)
        for node, stored, _, weight in view.weighted():
            given = view.read(stored.input[0])
            if given is None or weight is not None:
                continue
            others = [reader for reader in view.graph.consumers.get(node.inputs[0], ()) if reader.name != node.name]
            if not others:
                yield Hit(node.name, f"{node.layer} is float behind {given.node}")


class PerTensorWeights(Documented):
    """Weights with one scale for all channels.

    Why: channels differ in size by tens after BatchNorm is folded; the small ones then have a handful of steps. YOLO
    detectors lose about a point of AP by it.

    Mend: one scale for each output channel.
    """

    id = "QDQ019"
    severity = "info"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each weight of more than one channel."""
        for node, _, _, weight in subject.derived(View).weighted():
            if weight is not None and weight.values is not None and weight.values.size == 1:
                yield Hit(node.name, f"{node.layer}: {weight}")


def _behind_another(view: View, scale: Scale) -> bool:
    maker = view.makers.get(view.nodes[scale.node].input[0])
    return maker is not None and maker.op_type == DEQUANTIZE


def _decode(view: View) -> Iterator[tuple[str, Scale]]:
    """Name and scale of each Q on a tensor that an operation behind the last convolutions made."""
    for name, scale in view.activations.items():
        maker = view.graph.producers.get(view.behind(view.nodes[name].input[0]))
        if maker is not None and maker.name in view.graph.tail:
            yield name, scale


def _moved_from_last(graph: Graph, tensor: str) -> bool:
    """Whether a tensor holds nothing but what weighted operations gave."""
    maker = graph.producers.get(tensor)
    if maker is None or maker.name not in graph.tail:
        return True
    return maker.op in MOVING and all(_moved_from_last(graph, name) for name in maker.inputs)


def _mixed(graph: Graph, tensor: str) -> bool:
    """Whether a tensor is a concatenation, or moved from one, of scores with something else that was computed."""
    maker = graph.producers.get(tensor)
    if maker is None or maker.op not in MOVING:
        return False
    if maker.op == "Concat":
        kinds = {_is_score(graph, name) for name in maker.inputs}
        return len(kinds) == 2 or any(_mixed(graph, name) for name in maker.inputs)
    return _mixed(graph, maker.inputs[0])


def _is_score(graph: Graph, tensor: str) -> bool:
    maker = graph.producers.get(tensor)
    if maker is None:
        return False
    if maker.op in SCORES:
        return True
    return maker.op in MOVING and all(_is_score(graph, name) for name in maker.inputs)


def _nearest(graph: Graph, node: Node, *, back: bool) -> set[str]:
    """Names of the nearest weighted operations before or behind an operation."""
    weighted = {other.name for other in graph.weighted}
    waiting, found, seen = list(_next(graph, node, back)), set(), set()
    while waiting:
        other = waiting.pop()
        if other.name in seen:
            continue
        seen.add(other.name)
        if other.name in weighted:
            found.add(other.name)
        else:
            waiting += _next(graph, other, back)
    return found - {node.name}


def _next(graph: Graph, node: Node, back: bool) -> Iterable[Node]:
    if back:
        return (graph.producers[name] for name in node.inputs if name in graph.producers)
    return graph.after(node)


RULES = (
    BoxesAndScores, QuantizedDecode, SplitSilu, BackToBack, SeveralScales, UnfoldedBatchNorm, FloatBetween,
    FloatWeights, HalfQuantized, PerTensorWeights,
)  # fmt: skip
