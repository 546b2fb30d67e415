"""Rules on the operators that a quantized file is made of."""

from __future__ import annotations

from collections.abc import Iterator

from qcore_kit.checks import AGAIN, Documented, Hit, Subject
from qcore_kit.onnxfile import integer_operators


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
        for kind, operators in subject.derived(integer_operators.counts).items():
            yield Hit("", f"{kind}: {', '.join(f'{count} {name}' for name, count in sorted(operators.items()))}")


RULES = (IntegerFormat,)
