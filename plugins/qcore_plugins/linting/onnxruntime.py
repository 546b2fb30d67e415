"""Rules for ONNX Runtime on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from qcore.checking import Subject
from qcore_plugins.linting.rule import WRITTEN, Documented, Hit
from qcore_plugins.onnxfile.view import View
from qcore_plugins.quantization.table import OUTPUT_CHANNELS

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


ABSORBED = ("Relu", "Clip")
"""What ONNX Runtime makes part of the Q behind it."""


class FloatOutput(ForONNXRuntime):
    """A convolution with quantized input and weights whose output is not quantized.

    Of the last convolutions before the decode it is said as information: leaving their results float is a choice.

    Why: ONNX Runtime has one integer convolution, QLinearConv, which gives integers. Without a Q behind it the
    convolution runs in float on dequantized values: a file with SiLU kept whole is slower than the float one (0.65x).

    Mend: quantize every operation's output; `--target onnxruntime` does.
    """

    id = "ORT001"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each convolution whose output something else than a Q reads, or nothing."""
        view = subject.derived(View)
        for node, stored, given, weight in view.weighted():
            if node.op != "Conv" or given is None or weight is None or view.quantized(stored.output[0], ABSORBED):
                continue
            yield Hit(node.name, f"{node.layer} runs in float", "info" if node.name in view.graph.last else None)


class SymmetricSilu(ForONNXRuntime):
    """A symmetric range on what a SiLU gives.

    Why: SiLU gives -0.28 and more: nearly half of a symmetric range stays unused, so the steps are twice as large.
    YOLOv5n on ONNX Runtime: AP .2944 with asymmetric ranges, .2721 with symmetric ones (float .3022).

    Mend: write asymmetric uint8; `--target onnxruntime` does.
    """

    id = "ORT002"
    severity = "info"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Q on a SiLU's product whose zero point is in the middle."""
        view = subject.derived(View)
        for product in view.graph.silus:
            for scale in view.quantized(product):
                if scale.points is not None and int(scale.points.flat[0]) == MIDDLE.get(scale.kind):
                    yield Hit(scale.node, str(scale))


class WeightAxis(ForONNXRuntime):
    """Weights with a scale along another axis than the output channels.

    Why: QLinearConv takes the scales for output channels whatever the file says. Where their number is another the
    model fails when it runs; where it happens to be the same the result is wrong.

    Mend: write the file again; the output channels of a Conv are axis 0, of a ConvTranspose axis 1.
    """

    id = "ORT003"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each weight."""
        view = subject.derived(View)
        for node, stored, given, weight in view.weighted():
            if weight is None or weight.axis is None or node.op not in ("Conv", "ConvTranspose"):
                continue
            if weight.axis != OUTPUT_CHANNELS[node.op]:
                fused = given is not None and bool(view.quantized(stored.output[0])) and node.op == "Conv"
                yield Hit(node.name, f"{node.layer}: {weight}", "error" if fused else "warning")


class UnknownOperators(ForONNXRuntime):
    """An operator that ONNX Runtime does not have, such as EfficientNMS_TRT.

    Why: the file is refused: "is not a registered function/op".

    Mend: end the graph at the decoded boxes, and let qcore's postprocessor suppress.
    """

    id = "ORT004"
    severity = "error"
    hint = "qcore export MODEL --to onnx --head decoded -o out/"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each node of another domain."""
        for name, node in subject.derived(View).operators():
            if node.domain not in KNOWN:
                yield Hit(name, f"{node.domain}.{node.op_type}")


RULES = (FloatOutput, SymmetricSilu, WeightAxis, UnknownOperators)
