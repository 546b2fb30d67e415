"""Rules for OpenVINO, on ONNX files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import onnx

from qcore.plugin import counted
from qcore_kit.checks import AGAIN, WRITTEN, Documented, Hit, Subject
from qcore_kit.onnxfile.limits import limited
from qcore_kit.onnxfile.nodes import label
from qcore_kit.onnxfile.pools import padded
from qcore_kit.onnxfile.scale import BYTES, Scale, attribute
from qcore_kit.onnxfile.view import QUANTIZE, STORED, View, whole


class ForOpenVINO(Documented):
    """A rule for OpenVINO alone."""

    targets: ClassVar[tuple[str, ...]] = ("openvino",)
    hint: ClassVar[str] = WRITTEN


class SignedActivations(ForOpenVINO):
    """Activations are int8 instead of uint8.

    Why: OpenVINO 2026.4 computes them wrongly on CPUs that have AVX512-VNNI and no AMX: one and the same YOLOv5n file
    has AP .32 on a CPU with AMX and .01 with AMX masked out (ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI); with uint8 it has
    .32 on both.

    Fix: uint8 around 128 is the same numbers; `--profile openvino` writes it so.
    """

    id = "OV001"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each such Q."""
        for name, scale in subject.derived(whole).activations.items():
            if scale.kind == "int8":
                yield Hit(name, str(scale))


CONTRIBUTED = {
    "Attention", "BiasAdd", "BiasGelu", "BifurcationDetector", "DequantizeLinear", "DynamicQuantizeLSTM",
    "DynamicQuantizeMatMul", "EmbedLayerNormalization", "FastGelu", "FusedConv", "FusedGemm", "FusedMatMul",
    "GatherBlockQuantized", "GatherND", "Gelu", "GroupNorm", "GroupQueryAttention", "MatMulIntegerToFloat",
    "MatMulNBits", "MultiHeadAttention", "Pad", "QLinearAdd", "QLinearAveragePool", "QLinearConcat",
    "QLinearLeakyRelu", "QLinearMul", "QLinearReduceMean", "QLinearSigmoid", "QLinearSoftmax", "QLinearWhere",
    "QuantizeLinear", "QuickGelu", "Range", "RotaryEmbedding", "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization", "Trilu",
}  # fmt: skip
"""Operators of com.microsoft that OpenVINO 2026.4.1 reads, of the 136 that ONNX Runtime 1.31.1 has."""
MISSING = {
    "BitCast", "CausalConvWithState", "ConcatFromSequence", "CumProd", "DeformConv", "Det", "ImageDecoder",
    "LinearAttention", "MaxUnpool", "MelWeightMatrix", "Optional", "OptionalGetElement", "OptionalHasElement",
    "RegexFullMatch", "SequenceConstruct", "SequenceErase", "SequenceInsert", "SequenceLength", "SequenceMap",
    "SplitToSequence", "StringConcat", "StringNormalizer", "StringSplit", "SwiGLU", "TensorScatter",
    "TfIdfVectorizer",
}  # fmt: skip
"""Operators of ONNX itself that it does not read."""
READ = {"com.microsoft": CONTRIBUTED, "ai.onnx.ml": {"Normalizer"}}


class UnknownOperators(ForOpenVINO):
    """Operator is unknown to OpenVINO's ONNX reader, such as EfficientNMS_TRT.

    Of com.microsoft it reads some: QLinearAdd and QuickGelu, but not QGemm, QLinearGlobalAveragePool or NhwcMaxPool,
    which a QOperator file or a graph that ONNX Runtime has saved may hold. Functions that the file defines itself count
    as unknown too.

    Why: the file is refused ("No conversion rule found for operations").

    Fix: end the graph at the decoded boxes, and let qcore's postprocessor suppress; quantize with Q/DQ; inline
    functions (`onnx.inliner.inline_local_functions`).
    """

    id = "OV002"
    severity = "error"
    hint = "qcore export MODEL --to onnx --head decoded -o out/"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each node that it has no rule for."""
        for name, node in subject.derived(whole).nodes.items():
            domain = node.domain.removeprefix("ai.onnx") if node.domain == "ai.onnx" else node.domain
            if domain == "":
                known = node.op_type not in MISSING
            else:
                known = domain == "org.openvinotoolkit" or node.op_type in READ.get(domain, ())
            if not known:
                yield Hit(name, f"{domain}.{node.op_type}".lstrip("."))
        own = {(function.domain, function.name) for function in subject.content.functions}
        for node in subject.content.graph.node if own else ():
            if (node.domain, node.op_type) in own:
                yield Hit(label(node), f"{node.domain}.{node.op_type}, a function of the file's own")


class ShiftedWeights(ForOpenVINO):
    """Weights are asymmetric.

    Why: integer kernels take weights around 0; a zero point costs a correction for each value, or the kernel.

    Fix: symmetric weights lose nothing with a scale for each channel.
    """

    id = "OV003"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each weight."""
        for node, _, _, weight in subject.derived(whole).weighted():
            if weight is not None and _off_middle(weight):
                yield Hit(node.name, f"{node.layer}: {weight}")


def _off_middle(scale: Scale) -> bool:
    limits = scale.limits
    middle = 0 if limits is None or limits[0] < 0 else (limits[1] + 1) // 2
    return scale.points is not None and bool(np.any(scale.points != middle))


class LostLimit(ForOpenVINO):
    """A 16-bit Q at the end of its range, on values that go beyond it.

    Quantizers leave a Relu or a Clip out where the Q behind it limits values just as well: with zero point 0 of uint16,
    or -32768 of int16, everything negative becomes 0.

    Why: OpenVINO 2026.4 takes 16-bit Q/DQ out of the graph ("FQ stripping"), and with it the limit: negative values go
    on as they are (measured on a convolution: off by the mean of the values themselves). Q/DQ of 8 bits keep it.

    Fix: keep the Relu in front of the Q, or quantize with 8 bits.
    """

    id = "OV004"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each such Q whose input is not limited without it."""
        view = subject.derived(whole)
        for name, scale in view.activations.items():
            if scale.kind not in ("int16", "uint16") or scale.limits is None or scale.point not in scale.limits:
                continue
            tensor = view.behind(view.nodes[name].input[0])
            if not limited(view, tensor, low=scale.point == scale.limits[0]):
                yield Hit(name, f"{scale} is what limits {tensor}")


class CountedPadding(ForOpenVINO):
    """An AveragePool that counts its padding, behind Q/DQ with a zero point other than 0.

    PyTorch's AvgPool2d does so by default (`count_include_pad`). A Pad with zeros in front of the pool is the same.

    Why: OpenVINO 2026.4 pools the integers and pads them with 0, which stands for -zero point x scale: every value at
    the border is off (measured: by 3.6 of at most 4.3 with zero point 128, by .85 with 30). With zero point 0 and
    without Q/DQ before the pool the results are right.

    Fix: leave the pool float, or give its input a range that begins at 0 (uint8) or is symmetric (int8);
    `--profile openvino` does what is needed.
    """

    id = "OV005"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each one."""
        view = subject.derived(whole)
        for name, node in view.nodes.items():
            if node.op_type != "AveragePool":
                continue
            source, counted = node.input[0], bool(attribute(node, "count_include_pad", 0)) and padded(view, node)
            maker = view.makers.get(source)
            if maker is not None and maker.op_type == "Pad" and not padded(view, node):
                source, counted = maker.input[0], _zeros(view, maker)
            scale = view.moved(source) if counted else None
            if scale is not None and scale.kind in BYTES and scale.point:
                yield Hit(name, f"counts its padding; {scale.node}: {scale}")


def _zeros(view: View, node: onnx.NodeProto) -> bool:
    """Whether a Pad pads with zeros."""
    if bytes(attribute(node, "mode", b"constant")) != b"constant":
        return False
    if len(node.input) < 3 or not node.input[2]:
        return bool(attribute(node, "value", 0.0) == 0)
    value = view.value(node.input[2])
    return value is not None and not value.any()


class MovedWeights(ForOpenVINO):
    """Weights of a convolution that a Transpose brings into order, where OpenVINO does not see integers any more.

    Why: with a Transpose between the stored integers and their DQ, or between the Q/DQ of float weights and the
    convolution, OpenVINO 2026.4 computes the convolution in float. A Transpose behind the DQ of stored integers, and a
    Reshape, are no harm.

    Fix: store the weights as the convolution reads them.
    """

    id = "OV006"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each convolution with quantized input."""
        view = subject.derived(whole)
        for node, stored, given, weight in view.weighted():
            if node.op != "Conv" or given is None or weight is None:
                continue
            dequantize = view.nodes[weight.node]
            maker = view.makers.get(dequantize.input[0])
            rounded = maker is not None and maker.op_type == QUANTIZE
            where = stored.input[1] if rounded else dequantize.input[0]
            if _transposed(view, where):
                yield Hit(
                    node.name,
                    f"{node.layer} runs in float: a Transpose is {'behind' if rounded else 'before'} {weight.node}",
                )


def _transposed(view: View, name: str) -> bool:
    while (maker := view.makers.get(name)) is not None and maker.op_type in STORED:
        if maker.op_type == "Transpose":
            return True
        name = maker.input[0]
    return False


class FourBits(ForOpenVINO):
    """4-bit activations around a zero point, in front of a MatMul or Gemm.

    Why: OpenVINO 2026.4 computes these wrongly (measured: off by as much as the values themselves); with zero point 0,
    and in front of a convolution, they are right.

    Fix: 8 bits.
    """

    id = "OV007"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each one."""
        view = subject.derived(whole)
        for name, node in view.nodes.items():
            scale = view.moved(node.input[0]) if node.op_type in ("MatMul", "Gemm") else None
            if scale is not None and scale.kind in ("int4", "uint4") and scale.point:
                yield Hit(name, f"reads {scale}")


class ScalesInQOperators(ForOpenVINO):
    """QLinearConv or QLinearMatMul whose weights have a scale per channel.

    Why: OpenVINO 2026.4 reads the scales of a QLinearConv along the input channels. The file is refused if there are
    not as many of these as of output channels, and computed wrong if there are (measured: off by 9 of at most 64 on
    average). It refuses a QLinearMatMul with more than one scale. One scale for the whole weight is right.

    Fix: quantize with Q/DQ instead of `QuantFormat.QOperator`.
    """

    id = "OV008"
    severity = "error"
    hint = AGAIN

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each one."""
        view = subject.derived(whole)
        for name, node in view.nodes.items():
            if node.op_type not in ("QLinearConv", "QLinearMatMul") or node.domain not in ("", "ai.onnx"):
                continue
            weight, scales = view.value(node.input[3]), view.value(node.input[4])
            if scales is None or not scales.ndim or (scales.size == 1 and node.op_type == "QLinearMatMul"):
                continue
            if weight is None or scales.size > 1 or weight.shape[1] != 1:
                yield Hit(name, f"{node.op_type} with {counted(scales.size, 'scale')} in a vector")


RULES = (
    SignedActivations, UnknownOperators, ShiftedWeights, LostLimit, CountedPadding, MovedWeights, FourBits,
    ScalesInQOperators,
)  # fmt: skip
