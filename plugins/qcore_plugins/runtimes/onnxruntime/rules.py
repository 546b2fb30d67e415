"""Rules for ONNX Runtime on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from qcore_kit.checks import WRITTEN, Documented, Hit, Subject
from qcore_kit.onnxfile.fusing import UNQUANTIZED, added_bias, bias_fault, float_reason, quantized_result
from qcore_kit.onnxfile.scale import BYTES, CHANNELS, attribute, output_axis
from qcore_kit.onnxfile.view import whole

KNOWN = (
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.training",
    "ai.onnx.preview.training",
    "com.microsoft",
    "com.microsoft.nchwc",
    "com.ms.internal.nhwc",
)
MIDDLE = {"int8": 0, "uint8": 128}


class ForONNXRuntime(Documented):
    """A rule for ONNX Runtime alone."""

    targets: ClassVar[tuple[str, ...]] = ("onnxruntime",)
    hint: ClassVar[str] = WRITTEN


class FloatOutput(ForONNXRuntime):
    """Quantized convolution has a float output.

    Its result is not quantized; something else than one Q reads it; a Relu or Clip in between limits values otherwise
    than the Q does (a Relu needs the zero point at the end of the range, a Clip must cover the range); its bias is not
    in steps of input x weight; or its values have 16 bits, its weights 4, its scales are float16. Where
    the results of the last convolutions before the decode are not quantized it is information: that is a choice.

    Why: ONNX Runtime has one integer convolution, QLinearConv, which gives integers. Where it does not fit the
    convolution runs in float on dequantized values: a file with SiLU kept whole is slower than the float one (0.65x).

    Fix: quantize every operation's output, around a zero point at the range's end behind a Relu; `--profile
    onnxruntime` does.
    """

    id = "ORT001"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each convolution, and why."""
        view = subject.derived(whole)
        for node, stored, given, weight in view.weighted():
            if node.op != "Conv" or given is None or weight is None:
                continue
            if why := float_reason(view, stored, given, weight):
                chosen = node.name in view.graph.last and why == UNQUANTIZED
                yield Hit(node.name, f"{node.layer} runs in float: {why}", "info" if chosen else None)


class SymmetricSilu(ForONNXRuntime):
    """SiLU output has a symmetric range.

    Why: SiLU gives -0.28 and more: nearly half of a symmetric range stays unused, so the steps are twice as large.
    YOLOv5n on ONNX Runtime: AP .2944 with asymmetric ranges, .2721 with symmetric ones (float .3022).

    Fix: write asymmetric uint8; `--profile onnxruntime` does.
    """

    id = "ORT002"
    severity = "info"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Q on a SiLU's product whose zero point is in the middle."""
        view = subject.derived(whole)
        for product in view.graph.silus:
            for scale in view.quantized(product):
                if scale.points is not None and int(scale.points.flat[0]) == MIDDLE.get(scale.kind):
                    yield Hit(scale.node, str(scale))


class WeightAxis(ForONNXRuntime):
    """Weight scales are on an axis other than the output channels.

    Why: QLinearConv takes the scales for output channels whatever the file says. Where their number is another the
    model fails when it runs; where it happens to be the same the result is wrong.

    Fix: write the file again; the output channels of a Conv are axis 0, of a ConvTranspose axis 1.
    """

    id = "ORT003"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each weight."""
        view = subject.derived(whole)
        for node, stored, given, weight in view.weighted():
            if weight is None or weight.axis is None or weight.block or node.op not in ("Conv", "ConvTranspose"):
                continue
            if view.opset < CHANNELS:
                continue
            if weight.axis != output_axis(stored, 4):
                fused = given is not None and node.op == "Conv" and not float_reason(view, stored, given, weight)
                yield Hit(node.name, f"{node.layer}: {weight}", "error" if fused else "warning")


class UnknownOperators(ForONNXRuntime):
    """Operator is unknown to ONNX Runtime, such as EfficientNMS_TRT.

    Why: the file is refused: "is not a registered function/op".

    Fix: end the graph at the decoded boxes, and let qcore's postprocessor suppress.
    """

    id = "ORT004"
    severity = "error"
    hint = "qcore export MODEL --to onnx --head decoded -o out/"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each node of another domain."""
        for name, node in subject.derived(whole).operators():
            if node.domain not in KNOWN:
                yield Hit(name, f"{node.domain}.{node.op_type}")


class BiasSteps(ForONNXRuntime):
    """A Gemm whose int32 bias is not in steps of input x weight.

    A MatMul with an Add of such a bias behind it counts as one.

    Why: ONNX Runtime makes QGemm of it, which adds the bias' integers as they lie, whatever their scale and zero point
    say (microsoft/onnxruntime#24711, mended for Conv alone): the bias comes out too large or too small by the quotient
    of the two. OpenVINO computes what the file says.

    Fix: quantize the bias with the scale input x weight, one for each output channel, or leave it float.
    """

    id = "ORT005"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each such Gemm that becomes QGemm."""
        view = subject.derived(whole)
        for name, node in view.nodes.items():
            bias = node.input[2] if node.op_type == "Gemm" and len(node.input) > 2 else added_bias(view, node)
            if not bias or attribute(node, "alpha", 1.0) != 1 or attribute(node, "beta", 1.0) != 1:
                continue
            given, weight = view.moved(node.input[0]), view.weight(node)
            if given is None or weight is None or given.kind not in BYTES or weight.kind not in BYTES:
                continue
            ends = view.readers[node.output[0]][0] if node.op_type == "MatMul" else node
            relu = any(reader.op_type == "Relu" for reader in view.readers.get(ends.output[0], []))
            fault = bias_fault(view, bias, given, weight)
            if fault and not (relu and quantized_result(view, ends)[0] is None):
                yield Hit(name, fault)


RULES = (FloatOutput, SymmetricSilu, WeightAxis, UnknownOperators, BiasSteps)
