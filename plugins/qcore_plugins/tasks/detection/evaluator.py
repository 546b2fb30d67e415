"""The evaluator of the task `detection`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qcore.plugin import Contract, FileError, Progress, Skipping
from qcore_kit.reports import Section
from qcore_plugins.tasks.detection import fit
from qcore_plugins.tasks.detection.agreement import FAINT, NEARLY_ALL, agreement
from qcore_plugins.tasks.detection.bootstrap import Matches
from qcore_plugins.tasks.detection.classes import match_classes
from qcore_plugins.tasks.detection.collected import Collected
from qcore_plugins.tasks.detection.dataset import read
from qcore_plugins.tasks.detection.oddities import Oddities

if TYPE_CHECKING:
    from qcore_plugins.tasks.detection.comparison import DetectionComparison


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

    def evaluate(
        self, predictor: Any, data: Any, *, images: Any, classes: Mapping[str, str] | None, progress: Progress
    ) -> dict[str, Any]:
        """Run the predictor over the data and compare.

        Args:
            predictor: Gives `Detections`.
            data: COCO json or data.yaml.
            images: Folder of the pictures, if not where the data says.
            classes: Class of the model -> class of the data, where the names differ.
            progress: Shown over the pictures.

        Raises:
            FileError: The data cannot be read.
            UsageError: No class of the model is one of the data.
        """
        return _figures(*self._collected(predictor, data, images, classes, progress))

    def report(
        self, predictor: Any, data: Any, *, images: Any, classes: Mapping[str, str] | None, progress: Progress
    ) -> tuple[dict[str, Any], Sequence[Section]]:
        """The same run, with the sections of a report; arguments and errors as in `evaluate`."""
        from qcore_plugins.tasks.detection.showing import sections

        collected, skipped, odd = self._collected(predictor, data, images, classes, progress)
        figures = _figures(collected, skipped, odd)
        return figures, sections(collected, figures, predictor.preprocessor.read)

    def matches(
        self,
        predictor: Any,
        data: Any,
        *,
        images: Any = None,
        classes: Mapping[str, str] | None = None,
        progress: Progress,
    ) -> Matches:
        """The same run, kept per picture, for `bootstrap.difference`; arguments and errors as in `evaluate`."""
        collected, *_ = self._collected(predictor, data, images, classes, progress)
        return Matches.of(collected.found, collected.labels)

    def _collected(
        self, predictor: Any, data: Any, images: Any, classes: Mapping[str, str] | None, progress: Progress
    ) -> tuple[Collected, list[str], Oddities]:
        dataset = read(data, images)
        mapping = match_classes(predictor.contract.classes, dataset.names, classes or {})
        unknown = [name for index, name in enumerate(dataset.names) if index not in mapping.values()]
        if unknown:
            listed = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
            progress.say(f"classes of the data that the model does not have are left out: {listed}")
        collected = Collected(dataset, mapping)
        skipped: list[str] = []
        skipping = Skipping(progress)

        def skip(item: Any, error: FileError) -> None:
            skipped.append(str(item))
            skipping.say(error.message)

        there = [item for item in dataset if item.path.exists()]
        skipped += [str(item.path) for item in dataset if not item.path.exists()]
        results = zip(there, predictor.examine([item.path for item in there], on_error=skip), strict=True)
        for item, (raw, found) in progress.track(results, "evaluating", len(there)):
            if raw is not None:
                collected.add(item.path, found, dataset.labels(item, raw.shape[:2]), raw.shape[:2])
        skipping.end()
        lines = fit.remarks(collected.found, collected.labels, dataset.names)
        dataset.oddities.remark(*(f"{data}: {line}" for line in lines))
        dataset.finish()
        return collected, skipped, dataset.oddities


def _figures(collected: Collected, skipped: list[str], odd: Oddities) -> dict[str, Any]:
    return {
        **collected.figures(),
        "images": len(collected.sizes),
        "skipped": skipped,
        "classes": len(set(collected.mapping.values())),
        "oddities": odd.document(),
    }
