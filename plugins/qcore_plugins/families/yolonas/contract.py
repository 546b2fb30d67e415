"""What a YOLO-NAS model is fed with and gives, for checkpoints and for files that another exporter wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from qcore.plugin import Contract, FileError
from qcore.plugin import Tensor as TensorSpec
from qcore_kit.detectors.contracts import LETTERBOX, class_names, contract, exported_input, shapes
from qcore_plugins.families.yolonas.pipelines import PIPELINES

POSTPROCESS: dict[str, Any] = {
    "confidence": 0.25,
    "iou": 0.7,
    "max_detections": 300,
    "multi_label": True,
    "class_agnostic": False,
    "max_candidates": 1024,
}
PROTOCOLS: dict[str, Any] = {"upstream": {"postprocess": {"confidence": 0.01}}}
"""Upstream's validation keeps everything above .01."""


def describe(
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    *,
    names: Sequence[str] | None,
) -> Contract:
    """The contract of a file that another exporter wrote from a YOLO-NAS with boxes and scores as outputs.

    The preprocessing is that of the COCO weights; `--preprocess` changes it.

    Raises:
        FileError: Its input or outputs are not of that kind, or the number of names is another.
    """
    picture = exported_input(inputs, "YOLO-NAS")
    boxes = [tensor for tensor in outputs if len(tensor.shape) == 3 and tensor.shape[2] == 4]
    boxes = boxes[:1] if len(boxes) == len(outputs) == 2 else boxes  # four classes: boxes stand first
    scores = [tensor for tensor in outputs if len(tensor.shape) == 3 and tensor not in boxes]
    if len(boxes) != 1 or len(scores) != 1 or not isinstance(scores[0].shape[2], int):
        raise FileError(
            f"a YOLO-NAS export has boxes [B, N, 4] and scores [B, N, classes], this file has {shapes(outputs)}"
        )
    described = {boxes[0].name: "boxes", scores[0].name: "scores"}
    assumptions = [
        replace(tensor, meaning=described[tensor.name], stage="decoded")
        for tensor in outputs
        if tensor.name in described
    ]
    made = contract(
        picture.shape,
        assumptions,
        class_names(names, int(scores[0].shape[2])),
        preprocess={**LETTERBOX, **(PIPELINES["coco"] if picture.shape.count(640) == 2 else {})},
        postprocess=POSTPROCESS,
        protocols=PROTOCOLS,
    )
    return replace(made, inputs=(picture,))
