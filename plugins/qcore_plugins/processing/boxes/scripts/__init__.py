"""Templates for `qcore snippet`: what `Yolo` does, one for each layout of the outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qcore.plugin import Tensor, UsageError
from qcore_kit.layouts import HasScript, Layout
from qcore_kit.scripts import joined, template


def source(
    params: Any, outputs: Sequence[Tensor], names: Sequence[str], layout: Layout | None, suppressed: Sequence[str]
) -> str:
    """The text for these parameters and outputs.

    Args:
        params: Of the postprocessor.
        outputs: Of the contract.
        names: Of the classes.
        layout: Of the outputs; None where they are suppressed.
        suppressed: Names of counts, boxes, scores and classes where the suppression is inside the graph.

    Raises:
        UsageError: Outputs that no template reads.
    """
    shared: dict[str, Any] = {"CLASSES": tuple(names), "CONFIDENCE": params.confidence}
    limit = {"MAX_DETECTIONS": params.max_detections}
    if suppressed:
        return _part("suppressed", {**shared, **limit, "OUTPUTS": tuple(suppressed)})
    if not isinstance(layout, HasScript):
        listed = ", ".join(f"{tensor.name} ({tensor.meaning}, {tensor.stage})" for tensor in outputs)
        raise UsageError(
            f"there is no script for these outputs: {listed}", hint="export the model with --head decoded or --head nms"
        )
    reading = layout.script(outputs)
    settings = {
        "IOU": params.iou,
        "MULTI_LABEL": params.multi_label,
        "CLASS_AGNOSTIC": params.class_agnostic,
        "MAX_CANDIDATES": params.max_candidates,
    }
    return joined([reading, _part("select", {**shared, **limit, **settings})], "")


def _part(name: str, values: Mapping[str, Any]) -> str:
    return template(Path(__file__).with_name(f"{name}.py"), values)
