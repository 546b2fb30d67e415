"""Accuracy of detectors on labelled pictures."""

from collections.abc import Iterator
from pathlib import Path

from qcore.plugin import EvaluatorSpec, Option, Requirement, hookimpl
from qcore_kit.kinds import ResultSpec

qcore_api = "1"


@hookimpl
def qcore_evaluators() -> Iterator[EvaluatorSpec]:
    """The evaluator of the task `detection`."""
    yield EvaluatorSpec(
        name="detection",
        summary="COCO AP, precision, recall and F1 on COCO json or YOLO data.yaml",
        factory="qcore_plugins.tasks.detection.evaluator:DetectionEvaluator",
        requires=(Requirement("faster_coco_eval", "faster-coco-eval"),),
        task="detection",
        options=(
            Option(
                "images", "directory of the images that --data refers to (default: as the data file says)", None, Path
            ),
            Option("classes", "map a class of the model to a differently named class of the data", None, dict),
            Option(
                "max_detections",
                "detections per class and image that AP counts, for images of more objects (default: 100, as COCO)",
                100,
                int,
            ),
        ),
    )


@hookimpl
def qcore_results() -> Iterator[ResultSpec]:
    """The results of `detection`."""
    yield ResultSpec(
        name="detection",
        summary="Detections as records, drawings, films, COCO results and YOLO txt",
        factory="qcore_plugins.tasks.detection.results:DetectionResults",
        task="detection",
    )
