"""Rules for OpenVINO, on ONNX files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from qcore.checking import Subject
from qcore_plugins.linting.rule import WRITTEN, Documented, Hit
from qcore_plugins.onnxfile.view import View

KNOWN = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "org.openvinotoolkit")


class ForOpenVINO(Documented):
    """A rule for OpenVINO alone."""

    targets: ClassVar[tuple[str, ...]] = ("openvino",)
    hint: ClassVar[str] = WRITTEN


class SignedActivations(ForOpenVINO):
    """Activations as int8.

    Why: OpenVINO 2026.4 computes them wrongly on CPUs that have AVX512-VNNI and no AMX: one and the same YOLOv5n file
    has AP .32 on a CPU with AMX and .01 with AMX masked out (ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI); with uint8 it has
    .32 on both.

    Mend: uint8 around 128 is the same numbers; `--target openvino` writes it so.
    """

    id = "OV001"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each such Q."""
        for name, scale in subject.derived(View).activations.items():
            if scale.kind == "int8":
                yield Hit(name, str(scale))


class UnknownOperators(ForOpenVINO):
    """An operator that OpenVINO's ONNX reader does not know, such as EfficientNMS_TRT.

    Why: the file is refused.

    Mend: end the graph at the decoded boxes, and let qcore's postprocessor suppress.
    """

    id = "OV002"
    severity = "error"
    hint = "qcore export MODEL --to onnx --head decoded -o out/"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each node of another domain."""
        for name, node in subject.derived(View).nodes.items():
            if node.domain not in KNOWN:
                yield Hit(name, f"{node.domain}.{node.op_type}")


class ShiftedWeights(ForOpenVINO):
    """Weights with a zero point.

    Why: integer kernels take weights around 0; a zero point costs a correction for each value, or the kernel.

    Mend: symmetric weights lose nothing with a scale for each channel.
    """

    id = "OV003"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each weight."""
        for node, _, _, weight in subject.derived(View).weighted():
            if weight is not None and weight.points is not None and _off_middle(weight.kind, weight.points):
                yield Hit(node.name, f"{node.layer}: {weight}")


def _off_middle(kind: str, points: np.ndarray) -> bool:
    return bool(np.any(points != (128 if kind == "uint8" else 0)))


RULES = (SignedActivations, UnknownOperators, ShiftedWeights)
