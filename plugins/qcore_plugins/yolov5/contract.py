"""What a YOLOv5 model is fed with and gives, for checkpoints and for files that another exporter wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from qcore.contract import Contract
from qcore.contract import Tensor as TensorSpec
from qcore.errors import FileError
from qcore_plugins.layers.contracts import DETECT, LETTERBOX, class_names, contract, exported_input, shapes

PROTOCOLS: dict[str, Any] = {
    "upstream": {
        "preprocess": {"fit": "long-side", "rounding": "ceil", "interpolation": "area-down"},
        "postprocess": {"confidence": 0.001, "iou": 0.65, "max_detections": 300, "multi_label": True},
    }
}
"""Upstream's val pipeline; IoU .65 is what its published COCO figures were made with."""
MEANING = "boxes-objectness-classes"


def describe(
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    *,
    names: Sequence[str] | None,
) -> Contract:
    """The contract of a file that another exporter wrote from a YOLOv5 model with a decoded head.

    Raises:
        FileError: Its input or output is not of that kind, or the number of names is another.
    """
    picture = exported_input(inputs, "YOLOv5")
    decoded = [tensor for tensor in outputs if len(tensor.shape) == 3]
    if len(decoded) != 1 or not isinstance(decoded[0].shape[2], int):
        raise FileError(f"a YOLOv5 export has one output [B, N, 5 + classes], this file has {shapes(outputs)}")
    output = replace(decoded[0], meaning=MEANING, stage="decoded")
    given = class_names(names, int(decoded[0].shape[2]) - 5)
    said = contract(picture.shape, [output], given, preprocess=LETTERBOX, postprocess=DETECT, protocols=PROTOCOLS)
    return replace(said, inputs=(picture,))
