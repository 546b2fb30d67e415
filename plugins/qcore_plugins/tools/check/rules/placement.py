"""Rules on where Q/DQ stands."""

from __future__ import annotations

from collections.abc import Iterator

from qcore_kit.checks import COARSE, Documented, Hit, Subject
from qcore_kit.onnxfile.scale import Scale
from qcore_kit.onnxfile.view import DEQUANTIZE, View, whole
from qcore_kit.quantization.graph import MOVING, Graph

SCORES = {"Sigmoid", "Softmax"}
"""Operations whose results lie within 0..1."""


class BoxesAndScores(Documented):
    """Boxes and scores share one scale.

    Looked for behind the last convolutions: a concatenation of what a sigmoid or softmax made with something computed,
    and a scale of more than 1/32 on it.

    Why: one scale for coordinates of 0..640 and scores of 0..1 has steps of 2.5: every score becomes 0. On YOLOv5n,
    ONNX Runtime's `quantize_static` with defaults leaves no detections at all.

    Fix: leave everything behind the last convolutions float.
    """

    id = "QDQ010"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Q on such a concatenation, or on what is moved from it."""
        view = subject.derived(whole)
        for name, scale in _decode(view):
            tensor = view.behind(view.nodes[name].input[0])
            if scale.values is not None and float(scale.values.max()) > COARSE and _mixed(view.graph, tensor):
                yield Hit(name, f"boxes and scores in steps of {float(scale.values.max()):.3g}")


class QuantizedDecode(Documented):
    """Box decoding is quantized.

    What is computed behind the last convolutions: grids added, exponents, anchors multiplied, sums of bins. What the
    last convolutions give and what merely moves that is not meant.

    Why: it takes hardly any time, and coordinates then move in steps of range / 255: 2.5 pixels at 640. YOLOv5n with
    NNCF: AP .2892 with a float decode, .2887 without, and no faster.

    Fix: leave everything behind the last convolutions float.
    """

    id = "QDQ011"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Q on a computed tensor of the decode."""
        view = subject.derived(whole)
        for name, scale in _decode(view):
            if not _moved_from_last(view.graph, view.behind(view.nodes[name].input[0])):
                yield Hit(name, f"{view.behind(view.nodes[name].input[0])} is quantized: {scale}")


class SplitSilu(Documented):
    """SiLU is split by Q/DQ.

    Why: the runtime computes SiLU as one operation if it can see it, together with the convolution before it. Split,
    each is three passes over memory. YOLOv5n on OpenVINO: 18.5 ms split, 14.3 ms whole, and better AP. (ONNX Runtime
    has no such operation; there every part is quantized on purpose.)

    Fix: write the file for this runtime.
    """

    id = "QDQ012"
    targets = ("openvino", "tensorrt")

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each SiLU with a Q on its gate, or on an x that nothing else reads."""
        view = subject.derived(whole)
        gated = view.graph.gated()
        for product, gate in view.graph.silus.items():
            parts = [name for name in (gate.inputs[0], *gate.outputs) if view.quantized(name)]
            if any(name in gated or name in gate.outputs for name in parts):
                yield Hit(view.graph.producers[product].name, f"Q/DQ on {', '.join(parts)}")


class BackToBack(Documented):
    """Q/DQ pair directly follows another.

    Why: with one and the same scale the second pair does nothing, runtimes drop it; with another scale every value is
    rounded twice and a kernel is spent on it. (A pair of the same scale behind a concat is another thing, and fine.)

    Fix: one pair a tensor.
    """

    id = "QDQ013"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Q that reads a DQ."""
        view = subject.derived(whole)
        for name, scale in view.activations.items():
            maker = view.makers.get(view.nodes[name].input[0])
            if maker is not None and maker.op_type == DEQUANTIZE:
                before = view.scale(maker)
                same = before.equals(scale)
                yield Hit(name, f"behind {before.node} " + ("(equal)" if same else f"({before}, then {scale})"))


class SeveralScales(Documented):
    """Tensor is quantized several times with different scales.

    A quantizer for each module, rather than one for each tensor, does this wherever a tensor is read twice.

    Why: the operation that makes the tensor can write integers for one of them only; the others cost a pass over memory
    each.

    Fix: one scale a tensor.
    """

    id = "QDQ014"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each tensor with unequal Qs."""
        view = subject.derived(whole)
        found: dict[str, list[Scale]] = {}
        for name, scale in view.activations.items():
            found.setdefault(view.behind(view.nodes[name].input[0]), []).append(scale)
        for tensor, scales in found.items():
            direct = [scale for scale in scales if not _behind_another(view, scale)]
            if len(direct) > 1 and not all(scale.equals(direct[0]) for scale in direct):
                yield Hit(tensor, "; ".join(f"{scale.node}: {scale}" for scale in direct))


def _behind_another(view: View, scale: Scale) -> bool:
    maker = view.makers.get(view.nodes[scale.node].input[0])
    return maker is not None and maker.op_type == DEQUANTIZE


def _decode(view: View) -> Iterator[tuple[str, Scale]]:
    """Name and scale of each Q on a tensor that an operation behind the last convolutions made."""
    for name, scale in view.activations.items() if view.graph.weighted else ():
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
    if maker is None or maker.op not in MOVING or not maker.inputs:
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


RULES = (BoxesAndScores, QuantizedDecode, SplitSilu, BackToBack, SeveralScales)
