"""Rules on the operators that a quantized file is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from qcore_kit.checks import AGAIN, Documented, Hit, Subject
from qcore_kit.onnxfile.view import whole

DYNAMIC = {
    "ConvInteger", "DynamicQuantizeLSTM", "DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMulInteger",
    "MatMulIntegerToFloat",
}  # fmt: skip
"""What `onnxruntime.quantization.quantize_dynamic` writes, and what ONNX Runtime makes of it."""
WEIGHTS_ONLY = {"GatherBlockQuantized", "MatMulBnb4", "MatMulNBits"}
INTEGER = {"QAttention", "QEmbedLayerNormalization", "QGemm"}
"""Integer operators whose names do not begin with QLinear."""


class IntegerFormat(Documented):
    """A file that is quantized otherwise than with Q/DQ around float operators.

    Dynamic: ranges are computed from each input when the model runs (`quantize_dynamic`). QOperator: operators on
    integers, such as QLinearConv, instead of float ones between Q and DQ (`QuantFormat.QOperator`).

    Why: the rules on Q/DQ find nothing to look at in such a file; their silence says nothing about it. ONNX Runtime
    runs both, a dynamic convolution no faster than a float one; OpenVINO computes those in float. TensorRT takes
    neither.

    Fix: quantize the float model with Q/DQ: that is one file for every runtime.
    """

    id = "QDQ020"
    severity = "info"
    hint = AGAIN

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Once for each kind."""
        counts = Counter(node.op_type for node in subject.derived(whole).nodes.values())
        kinds = {
            "dynamically quantized, ranges are computed when the model runs": DYNAMIC,
            "QOperator format": {op for op in counts if op.startswith("QLinear")} | INTEGER,
            "weights alone are quantized": WEIGHTS_ONLY,
        }
        for kind, operators in kinds.items():
            there = [f"{counts[op]} {op}" for op in sorted(operators) if counts[op]]
            if there:
                yield Hit("", f"{kind}: {', '.join(there)}")


RULES = (IntegerFormat,)
