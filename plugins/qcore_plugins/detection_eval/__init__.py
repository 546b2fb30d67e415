"""Accuracy of detectors on labelled pictures."""

from collections.abc import Iterator

import qcore


@qcore.hookimpl
def qcore_evaluators() -> Iterator[qcore.EvaluatorSpec]:
    """The evaluator of the task `detection`."""
    yield qcore.EvaluatorSpec(
        name="detection",
        summary="COCO AP, precision, recall and F1 on COCO json or YOLO data.yaml",
        target="qcore_plugins.detection_eval.evaluator:DetectionEvaluator",
        requires=(qcore.Requirement("faster_coco_eval", "faster-coco-eval"),),
        task="detection",
    )
