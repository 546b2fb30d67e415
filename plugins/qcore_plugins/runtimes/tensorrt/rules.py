"""Rules for TensorRT. What is called refused was tried with the parser and the builder of tensorrt-rtx 1.7."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import onnx

from qcore_kit.checks import AGAIN, WRITTEN, Documented, Hit, Subject
from qcore_kit.onnxfile.scale import Scale, output_axis
from qcore_kit.onnxfile.view import DEQUANTIZE, QUANTIZE, View, whole
from qcore_kit.quantization.graph import AVERAGING
from qcore_kit.quantization.placement import SELECTING

STANDARD = ("", "ai.onnx")
INTEGER_OPERATORS = {
    "ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul",
}  # fmt: skip


class ForTensorRT(Documented):
    """A rule for TensorRT alone."""

    targets: ClassVar[tuple[str, ...]] = ("tensorrt",)
    hint: ClassVar[str] = WRITTEN


class AsymmetricActivations(ForTensorRT):
    """Activations are not symmetric int8.

    Why: TensorRT has int8 around 0 only. A zero point other than 0 is refused ("Non-zero zero point is not supported").
    Uint8 with zero point 0 is worse: the parser reads it as int8 ("Defaulting to INT8 instead"), and everything above
    the middle of the range is cut off. NNCF's ONNX file of YOLOv5n builds; read as int8 it has AP .08 instead of .30.

    Fix: a table file has the ranges; `--profile tensorrt` writes them around 0. Without a table, quantize again.
    """

    id = "TRT001"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each such Q."""
        for name, scale in subject.derived(whole).activations.items():
            points = scale.points
            if scale.kind in ("uint8", "uint16", "int16") or (points is not None and np.any(points != 0)):
                yield Hit(name, str(scale))


class Weights(ForTensorRT):
    """Weights are not symmetric int8, or their scales are on the wrong axis.

    Output channels lie on axis 0 of a Conv's weight, on the last of a MatMul's, on axis 1 of a Gemm's, or 0 with
    `transB=1`. Of a ConvTranspose, scales for channels are told as information: NVIDIA says that its kernels expect
    them along the input channels, axis 0, and that output channels, axis 1, are not supported (NVIDIA/TensorRT#2380,
    #1694); the builder of tensorrt-rtx 1.7 accepts both, and which kernel it takes was not measured here.

    Why: uint8 weights and zero points other than 0 are refused. A scale along another axis is accepted and cannot be
    taken out of the sum over that axis: the convolution runs in float, and the builder says nothing. (ONNX Runtime
    fails on such a file when it runs it.)

    Fix: write the file from its table. A ConvTranspose is safe in float (`--exclude`), or with one scale.
    """

    id = "TRT002"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each weight."""
        view = subject.derived(whole)
        for node, stored, _, weight in view.weighted():
            if weight is None or weight.block:
                continue
            if weight.kind == "uint8" or (weight.points is not None and np.any(weight.points != 0)):
                yield Hit(node.name, f"{node.layer}: {weight}, not int8 around 0")
            elif weight.axis is not None and node.op == "ConvTranspose" and weight.axis in (0, 1):
                unsure = "output channels, which NVIDIA calls unsupported" if weight.axis else "input channels"
                yield Hit(node.name, f"{node.layer}: {weight}, the {unsure}; not measured", "info")
            elif weight.axis is not None and weight.axis != (right := output_axis(stored, _rank(view, stored))):
                yield Hit(node.name, f"{node.layer}: {weight}; the output channels of a {node.op} are axis {right}")


def _rank(view: View, node: onnx.NodeProto) -> int:
    return len(view.shape(node.input[1]) or (0, 0))


class Branches(ForTensorRT):
    """Inputs of a Concat or Add have different scales.

    Why: a concat of integers copies them; with several scales they are dequantized, joined and quantized again.
    tensorrt-rtx 1.7 accepts the file, with a kernel more for a concat and none for a sum. It counts as an error because
    it shows that the file was not placed for TensorRT; what it costs takes an engine and a GPU to tell.

    Fix: one scale for all branches; `--profile tensorrt` writes the largest range of them.
    """

    id = "TRT003"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Concat, Add and Sum before the decode whose quantized branches differ."""
        view = subject.derived(whole)
        for node in view.graph.nodes:
            if node.op not in ("Concat", "Add", "Sum") or node.name in view.graph.tail:
                continue
            scales = [found for name in view.nodes[node.name].input if (found := view.moved(name))]
            if scales and not all(scale.equals(scales[0]) for scale in scales):
                yield Hit(node.name, f"{node.op}: " + "; ".join(f"{scale.node}: {scale}" for scale in scales))


class BothSides(ForTensorRT):
    """Pooling or data-movement operator has different input and output scales.

    Why: with one scale the operation runs on integers as they are. With two, values are dequantized, moved in float and
    quantized again.

    Fix: the scale of the input for both; qcore's writer sees to it.
    """

    id = "TRT004"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each such operation before the decode."""
        view = subject.derived(whole)
        for node in view.graph.nodes:
            if node.op not in SELECTING | AVERAGING or node.name in view.graph.tail:
                continue
            given = view.moved(view.nodes[node.name].input[0])
            for output in node.outputs:
                for scale in view.quantized(output):
                    if given and not scale.equals(given):
                        yield Hit(node.name, f"{node.op}: input {given}; output {scale}")


class SinglePrecision(ForTensorRT):
    """Non-quantized part of the network is float32 instead of float16.

    Why: from TensorRT 11 on networks are strongly typed: what the file says is float32 runs in float32, SiLU and sums
    included, 17 to 18 % slower than in float16. The decode behind the last convolutions may well be float32.

    Fix: the profile `tensorrt` writes float16.
    """

    id = "TRT005"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each convolution before the decode that computes in float32, in a file that is quantized."""
        view = subject.derived(whole)
        if not view.is_quantized:
            return
        for node, stored, _, weight in view.weighted():
            values = weight.values if weight is not None else view.value(view.origin(stored.input[1]))
            if values is not None and values.dtype == np.float32:
                yield Hit(node.name, f"{node.layer} computes in float32")


class PluginOperators(ForTensorRT):
    """Operator needs a TensorRT plugin, such as EfficientNMS_TRT.

    Why: EfficientNMS_TRT and its like were made for an interface that TensorRT 11 removed (IPluginV2); the parser ends
    with "Plugin not found".

    Fix: end the graph at the decoded boxes, and let qcore's postprocessor suppress.
    """

    id = "TRT006"
    severity = "error"
    hint = "qcore export MODEL --to onnx --head decoded -o out/"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each node of another domain than ONNX's own."""
        for name, node in subject.derived(whole).operators():
            if node.domain not in STANDARD or node.op_type.endswith("_TRT"):
                yield Hit(name, f"{node.domain}.{node.op_type}".lstrip("."))


class SuppressionInside(ForTensorRT):
    """Graph contains NonMaxSuppression.

    Why: tensorrt-rtx 1.7 parses it, and its builder then has "no runners that implement it".

    Fix: end the graph at the decoded boxes. A file that exists as ONNX only is cut with `--loader-option output=...`.
    """

    id = "TRT007"
    severity = "error"
    hint = "qcore export MODEL --to onnx --head decoded -o out/"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each one."""
        for name, node in subject.derived(whole).operators():
            if node.op_type == "NonMaxSuppression":
                yield Hit(name, "the TensorRT builder does not support it")


class Opset(ForTensorRT):
    """Q/DQ needs a newer opset (13; 19 for float16 scales).

    QuantizeLinear has scales for each channel from opset 13 on, and float16 from opset 19 on.

    Why: float16 in an older one is no valid ONNX: ONNX Runtime and ONNX's checker refuse it, whatever one parser makes
    of it (tensorrt-rtx 1.7 reads it). TensorRT promises explicit quantization from opset 13 on; tensorrt-rtx 1.7 also
    builds older files with one scale for a whole weight, which is all they can have, and which costs accuracy.

    Fix: export again; qcore writes opset 20.
    """

    id = "TRT008"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Q/DQ below opset 13, or with float16 scales below 19."""
        view = subject.derived(whole)
        for name, scale in view.pairs.items():
            if view.opset < 13:
                told = f"{view.nodes[name].op_type} of opset {view.opset}: no scales for each channel"
                yield Hit(name, told)
            elif view.opset < 19 and scale.values is not None and scale.values.dtype == np.float16:
                yield Hit(name, f"float16 scale in opset {view.opset}")


class IntegerOperators(ForTensorRT):
    """Integer operator, or DequantizeLinear of int32 data, instead of plain Q/DQ.

    Why: TensorRT makes integer kernels of Q/DQ around float operators. QLinearConv and its like are refused, and so
    is a bias as int32 behind a DequantizeLinear ("input has type Int32 but must have type FP8, ... Int8, or UInt8").

    Fix: write the file for TensorRT; ONNX Runtime's has both.
    """

    id = "TRT009"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each one."""
        view = subject.derived(whole)
        for name, node in view.nodes.items():
            if node.op_type in INTEGER_OPERATORS or node.op_type.startswith("QLinear"):
                yield Hit(name, node.op_type)
            elif node.op_type == DEQUANTIZE:
                value = view.value(node.input[0])
                if value is not None and value.dtype == np.int32:
                    yield Hit(name, "DequantizeLinear of int32 data")


class ChannelActivations(ForTensorRT):
    """Activation has per-channel scales.

    Why: the scale stands inside the sum over input channels; the convolution runs in float.

    Fix: one scale a tensor.
    """

    id = "TRT010"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Q on computed values with more than one scale."""
        for name, scale in subject.derived(whole).activations.items():
            if scale.values is not None and scale.values.size > 1:
                yield Hit(name, str(scale))


class HalfSum(ForTensorRT):
    """Add has one quantized and one float input.

    Why: the convolution before the sum adds the other branch in its last step where that comes as integers; a float one
    is read in float, twice the bytes.

    Fix: quantize both branches.
    """

    id = "TRT011"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Add before the decode."""
        view = subject.derived(whole)
        for node in view.graph.nodes:
            if node.op not in ("Add", "Sum") or node.name in view.graph.tail or len(node.inputs) < 2:
                continue
            scales: list[Scale | None] = [view.moved(name) for name in view.nodes[node.name].input]
            if any(scales) and not all(scales):
                yield Hit(node.name, f"{scales.count(None)} of {len(scales)} branches are float")


class NotQuantized(ForTensorRT):
    """File is not quantized (no Q/DQ).

    Why: TensorRT 11 has no calibrator and no INT8 flag: the engine will compute in the types of the file.

    Fix: quantize it, or leave it so.
    """

    id = "TRT012"
    severity = "info"
    hint = AGAIN

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Once for the file."""
        view = subject.derived(whole)
        if not any(node.op_type in (QUANTIZE, DEQUANTIZE) for node in view.nodes.values()):
            yield Hit("", "nothing is quantized")


RULES = (
    AsymmetricActivations, Weights, Branches, BothSides, SinglePrecision, PluginOperators, SuppressionInside, Opset,
    IntegerOperators, ChannelActivations, HalfSum, NotQuantized,
)  # fmt: skip
