"""Templates for `qcore snippet`: what `Yolo` does, one for each layout of the outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qcore.plugin import Tensor, UsageError
from qcore_kit.scripts import joined, template

READERS = {
    (("boxes-objectness-classes", "decoded"),): ("objectness", ("OUTPUT",)),
    (("boxes-classes", "decoded"),): ("together", ("OUTPUT",)),
    (("boxes-classes-rows", "decoded"),): ("rows", ("OUTPUT",)),
    (("corners-classes", "decoded"),): ("corners", ("OUTPUT",)),
    (("corners-classes-rows", "decoded"),): ("corner_rows", ("OUTPUT",)),
    (("corners-score-class", "decoded"),): ("labelled", ("OUTPUT",)),
    (("corners-score-class", "nms"),): ("labelled", ("OUTPUT",)),
    (("boxes", "decoded"), ("scores", "decoded")): ("apart", ("BOXES", "SCORES")),
}
"""Meaning and stage of the outputs -> template, and its constants that name them."""


def source(params: Any, outputs: Sequence[Tensor], names: Sequence[str], suppressed: Sequence[str]) -> str:
    """The text for these parameters and outputs.

    Args:
        params: Of the postprocessor.
        outputs: Of the contract.
        names: Of the classes.
        suppressed: Names of counts, boxes, scores and classes where the suppression is inside the graph.

    Raises:
        UsageError: Outputs that no template reads.
    """
    shared: dict[str, Any] = {"CLASSES": tuple(names), "CONFIDENCE": params.confidence}
    limit = {"MAX_DETECTIONS": params.max_detections}
    if suppressed:
        return _part("suppressed", {**shared, **limit, "OUTPUTS": tuple(suppressed)})
    ordered = sorted(outputs, key=lambda tensor: tensor.meaning)
    said = tuple((tensor.meaning, tensor.stage) for tensor in ordered)
    if said not in READERS:
        listed = ", ".join(f"{tensor.name} ({tensor.meaning}, {tensor.stage})" for tensor in outputs)
        raise UsageError(
            f"there is no script for these outputs: {listed}", hint="export the model with --head decoded or --head nms"
        )
    name, constants = READERS[said]
    reading = _part(name, dict(zip(constants, (tensor.name for tensor in ordered), strict=True)))
    settings = {
        "IOU": params.iou,
        "MULTI_LABEL": params.multi_label,
        "CLASS_AGNOSTIC": params.class_agnostic,
        "MAX_CANDIDATES": params.max_candidates,
    }
    return joined([reading, _part("select", {**shared, **limit, **settings})], "")


def _part(name: str, values: Mapping[str, Any]) -> str:
    return template(Path(__file__).with_name(f"{name}.py"), values)
