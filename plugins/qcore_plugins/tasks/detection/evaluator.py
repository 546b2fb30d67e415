"""The evaluator of the task `detection`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qcore.plugin import Contract, Progress
from qcore_plugins.tasks.detection import capping
from qcore_plugins.tasks.detection.agreement import FAINT, NEARLY_ALL, agreement
from qcore_plugins.tasks.detection.classes import match_classes
from qcore_plugins.tasks.detection.dataset import counted, read

if TYPE_CHECKING:
    from qcore_plugins.tasks.detection.comparison import DetectionComparison
    from qcore_plugins.tasks.detection.tally import DetectionTally


class DetectionEvaluator:
    """COCO AP by faster-coco-eval; precision, recall and F1 at IoU .5 at the threshold where F1 is best."""

    figure = "AP"
    agreement = staticmethod(agreement)
    faint = FAINT
    nearly_all = NEARLY_ALL

    def comparison(
        self,
        reference: Contract,
        candidate: Contract,
        data: Any,
        **options: Any,
    ) -> DetectionComparison:
        """Collects the detections of two models on the data; options and errors as in `DetectionComparison`."""
        from qcore_plugins.tasks.detection.comparison import DetectionComparison

        return DetectionComparison(reference, candidate, data, **options)

    def open(self, contract: Contract, data: Any, *, options: Mapping[str, Any], progress: Progress) -> DetectionTally:
        """Begin to measure; the results to be added are `Detections`.

        Args:
            contract: Its classes are matched with those of the data.
            data: COCO json or data.yaml.
            options: `images`, `classes` and `max_detections`, as in the spec.
            progress: Told which classes are left out.

        Raises:
            FileError: The data cannot be read.
            UsageError: No class of the model is one of the data; `max_detections` below 1.
        """
        from qcore_plugins.tasks.detection.tally import DetectionTally

        most = counted(options["max_detections"])
        dataset = read(data, options["images"], most)
        mapping = match_classes(contract.classes, dataset.names, options["classes"] or {})
        unknown = [name for index, name in enumerate(dataset.names) if index not in mapping.values()]
        if unknown:
            listed = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
            progress.say(f"classes of the data that the model does not have are left out: {listed}")
        return DetectionTally(str(data), dataset, mapping, capping.limits(contract.postprocess))
