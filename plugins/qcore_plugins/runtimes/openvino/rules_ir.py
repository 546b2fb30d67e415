"""Rules for OpenVINO, on OpenVINO files, whose Q/DQ are FakeQuantize operations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from qcore_kit.checks import COARSE, Documented, Hit, Subject
from qcore_kit.irfile.integers import layer_name, rounding, weight_of, weighted

DEQUANTIZING = {"Convert", "Multiply", "Subtract"}
"""What stands between a FakeQuantize and the operation that reads it, where the file came from a Q/DQ graph."""
MOVING = {"Gather", "Reshape", "Slice", "Split", "StridedSlice", "Transpose", "VariadicSplit"}


class OfIr(Documented):
    """A rule on OpenVINO files."""

    targets: ClassVar[tuple[str, ...]] = ("openvino",)


class SplitSiluIr(OfIr):
    """SiLU is split by FakeQuantize.

    Why: a split SiLU is three passes over memory instead of a part of the convolution. NNCF puts FakeQuantize there
    where it does not see the SiLU: YOLOv5n in 18.5 ms, and 14.3 ms with SiLU as one operation.

    Fix: make every SiLU one Swish before NNCF quantizes; qcore's quantizer `nncf` does.
    """

    id = "OV101"
    hint = "qcore quantize MODEL --calib images/ --quantizer nncf --backend openvino -o out/"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each product."""
        for op in subject.content.get_ordered_ops():
            if op.get_type_name() == "Multiply" and _split(op):
                yield Hit(op.get_friendly_name(), "FakeQuantize inside x * sigmoid(x)")


class BoxesAndScoresIr(OfIr):
    """Boxes and scores share one FakeQuantize.

    Why: one scale for coordinates of 0..640 and scores of 0..1 has steps of 2.5: every score becomes 0.

    Fix: leave everything behind the last convolutions float; qcore's quantizer `nncf` does.
    """

    id = "OV102"
    severity = "error"
    hint = "qcore quantize MODEL --calib images/ --quantizer nncf --backend openvino -o out/"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each FakeQuantize behind a Concat of scores with something else, in steps that are too coarse for scores."""
        for op in subject.content.get_ordered_ops():
            if op.get_type_name() == "FakeQuantize" and _mixed(op.input_value(0)) and (step := _step(op)) > COARSE:
                yield Hit(op.get_friendly_name(), f"boxes and scores in steps of {step:.3g}")


class FloatWeightsIr(OfIr):
    """Weights that the file does not store as integers, before a layer in a quantized file.

    Left out are the last layers of the network, and those that the contract says were left float. Float weights behind
    a FakeQuantize become integers when OpenVINO compiles: the file is larger than need be, and that is information.

    Why: with float weights, OpenVINO computes the layer in float on dequantized values.

    Fix: quantize the weights too; qcore's quantizers do, and store them as int8.
    """

    id = "OV103"
    hint = "qcore quantize MODEL --calib images/ --quantizer nncf --backend openvino -o out/"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each layer with float weights, where others have integers."""
        ops = list(weighted(subject.content))
        weights = {op.get_friendly_name(): weight_of(op) for op in ops}
        if all(weight.values is None and not weight.stored for weight in weights.values()):
            return
        last = _last(ops)
        for op in ops:
            name, weight = op.get_friendly_name(), weights[op.get_friendly_name()]
            if weight.stored or (weight.values is None and (name in last or _meant(subject, op))):
                continue
            if weight.values is not None:
                yield Hit(name, f"{layer_name(op)}: float weights behind a FakeQuantize", "info")
            elif rounding(op.input_value(0)) is not None:
                yield Hit(name, f"{layer_name(op)}: float weights on a quantized input, runs in float")
            else:
                yield Hit(name, f"{layer_name(op)}: float weights and input, runs in float", "info")


def _meant(subject: Subject, op: Any) -> bool:
    """Whether the contract says that a layer was left float on demand."""
    quantization = subject.contract.provenance.get("quantization") if subject.contract else None
    return bool({layer_name(op), op.get_friendly_name()} & set((quantization or {}).get("left_float", ())))


def _last(ops: Sequence[Any]) -> set[str]:
    """Names of the weighted operations that no other one follows."""
    before: set[str] = set()
    for op in ops:
        waiting, seen = [op.input_value(0).get_node()], set()
        while waiting:
            node = waiting.pop()
            if (name := node.get_friendly_name()) not in seen:
                seen.add(name)
                waiting += [given.get_node() for given in node.input_values()]
        before |= seen
    return {op.get_friendly_name() for op in ops} - before


class CountedPaddingIr(OfIr):
    """An AvgPool that counts its padding, behind a FakeQuantize whose zero point is not 0.

    Why: OpenVINO 2026.4 pools the integers and pads them with 0, which stands for -zero point x scale: every value at
    the border is off. NNCF writes such files of networks with PyTorch's AvgPool2d (`count_include_pad`). Where the
    range begins at 0, or is that of int8 around 0, the results are right.

    Fix: leave the pool and what is before it float, or train with `count_include_pad=False`.
    """

    id = "OV104"
    severity = "error"
    hint = "qcore quantize MODEL --calib images/ --quantizer nncf --backend openvino -o out/"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each one."""
        for op in subject.content.get_ordered_ops():
            if op.get_type_name() == "AvgPool" and _counts(op.get_attributes()):
                quantize = _quantize(op.input_value(0))
                ends = _ends(quantize) if quantize is not None else None
                if ends is not None and _shifted(*ends):
                    yield Hit(
                        op.get_friendly_name(), f"counts its padding behind a range of {ends[0]:.4g}..{ends[1]:.4g}"
                    )


def _counts(attributes: dict[str, Any]) -> bool:
    """Whether a pool counts padding that it has."""
    pads = [*attributes["pads_begin"], *attributes["pads_end"]]
    return not attributes["exclude-pad"] and (any(pads) or attributes["auto_pad"] in ("same_upper", "same_lower"))


def _quantize(value: Any) -> Any:
    """The FakeQuantize whose values an operation reads, through what moves them."""
    node = value.get_node()
    while node.get_type_name() in MOVING | {"MaxPool"} or _dequantizing(node):
        node = node.input_value(0).get_node()
    return node if node.get_type_name() == "FakeQuantize" else None


def _ends(quantize: Any) -> tuple[float, float] | None:
    """Smallest and largest value that a FakeQuantize of 256 levels gives, where one range is stored for all."""
    ends = [quantize.input_value(place).get_node() for place in (3, 4)]
    stored = all(end.get_type_name() == "Constant" and end.get_data().size == 1 for end in ends)
    if not stored or quantize.get_attributes()["levels"] != 256:
        return None
    low, high = (float(end.get_data().flat[0]) for end in ends)
    return low, high


def _shifted(low: float, high: float) -> bool:
    """Whether 0 is another integer than 0, of uint8 or of int8."""
    return low < 0 and abs(low * 127 + high * 128) > (high - low) / 4


def _source(value: Any) -> tuple[Any, bool]:
    """The output behind a FakeQuantize, and whether there was one."""
    node, looked = value.get_node(), value
    while _dequantizing(node):
        looked = node.input_value(0)
        node = looked.get_node()
    if node.get_type_name() == "FakeQuantize":
        return node.input_value(0), True
    return value, False


def _dequantizing(node: Any) -> bool:
    return node.get_type_name() in DEQUANTIZING and (
        len(node.inputs()) == 1 or node.input_value(1).get_node().get_type_name() in ("Constant", "Convert")
    )


def _split(product: Any) -> bool:
    first, second = product.input_value(0), product.input_value(1)
    for plain, gate in ((first, second), (second, first)):
        sigmoid, between = _source(gate)
        if sigmoid.get_node().get_type_name() != "Sigmoid":
            continue
        (one, before), (other, beside) = _source(sigmoid.get_node().input_value(0)), _source(plain)
        if one == other:
            return between or before or beside
    return False


def _mixed(value: Any) -> bool:
    node = value.get_node()
    if node.get_type_name() == "Concat":
        parts = [_source(given.get_source_output())[0] for given in node.inputs()]
        return len({_is_score(part) for part in parts}) == 2 or any(map(_mixed, parts))
    return node.get_type_name() in MOVING and _mixed(_source(node.input_value(0))[0])


def _is_score(value: Any) -> bool:
    node = value.get_node()
    if node.get_type_name() in ("Sigmoid", "Softmax", "SoftMax"):
        return True
    return node.get_type_name() in MOVING and _is_score(_source(node.input_value(0))[0])


def _step(quantize: Any) -> float:
    """The largest step of a FakeQuantize whose output range is stored; 0 where it is not."""
    ends = [quantize.input_value(place).get_node() for place in (3, 4)]
    if any(end.get_type_name() != "Constant" for end in ends):
        return 0.0
    low, high = (end.get_data() for end in ends)
    result: float = float((high - low).max()) / (quantize.get_attributes()["levels"] - 1)
    return result


RULES = (SplitSiluIr, BoxesAndScoresIr, FloatWeightsIr, CountedPaddingIr)
