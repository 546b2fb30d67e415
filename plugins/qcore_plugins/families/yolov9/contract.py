"""What a YOLOv9 model is fed with and gives, for checkpoints and for files that another exporter wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qcore.plugin import Contract
from qcore.plugin import Tensor as TensorSpec
from qcore_kit.detectors.contracts import exported

PROTOCOLS: dict[str, Any] = {
    "upstream": {
        "preprocess": {"fit": "long-side", "rounding": "int", "interpolation": "area-down"},
        "postprocess": {"confidence": 0.001, "iou": 0.7, "max_detections": 300, "multi_label": True},
    }
}
"""Upstream's val pipeline and thresholds."""
MEANING = "boxes-classes"


def describe(
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    *,
    names: Sequence[str] | None,
) -> Contract:
    """The contract of a file that another exporter wrote from a YOLOv9 model with a decoded head.

    Raises:
        FileError: Its input or output is not of that kind, or the number of names is another.
    """
    return exported(inputs, outputs, names, family="YOLOv9", meaning=MEANING, axis=1, before=4, protocols=PROTOCOLS)
