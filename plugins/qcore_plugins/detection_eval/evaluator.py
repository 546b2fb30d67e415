"""The evaluator of the task `detection`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qcore.errors import FileError, UsageError
from qcore.protocols import Progress
from qcore_plugins.detection_eval.agreement import agreement
from qcore_plugins.detection_eval.bootstrap import Matches
from qcore_plugins.detection_eval.dataset import Dataset, Labels, read
from qcore_plugins.detection_eval.matching import best_f1, hits
from qcore_plugins.detections import Detections

FIGURES = {
    "AP": "AP_all", "AP50": "AP_50", "AP75": "AP_75",
    "AP_small": "AP_small", "AP_medium": "AP_medium", "AP_large": "AP_large",
}  # fmt: skip
"""Name here -> name in faster-coco-eval."""


class DetectionEvaluator:
    """COCO AP by faster-coco-eval; precision, recall and F1 at IoU .5 at the threshold where F1 is best."""

    figure = "AP"
    agreement = staticmethod(agreement)

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
        collected, skipped = self._collected(predictor, data, images, classes, progress)
        return {
            **collected.figures(),
            "images": len(collected.sizes),
            "skipped": skipped,
            "classes": len(collected.mapping),
        }

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
        collected, _ = self._collected(predictor, data, images, classes, progress)
        return Matches.of(collected.found, collected.labels)

    def _collected(
        self, predictor: Any, data: Any, images: Any, classes: Mapping[str, str] | None, progress: Progress
    ) -> tuple[_Collected, list[str]]:
        dataset = read(data, images)
        mapping = match_classes(predictor.contract.classes, dataset.names, classes or {})
        unknown = [name for index, name in enumerate(dataset.names) if index not in mapping.values()]
        if unknown:
            listed = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
            progress.say(f"classes of the data that the model does not have are left out: {listed}")
        collected = _Collected(dataset, mapping)
        skipped: list[str] = []

        def skip(item: Any, error: FileError) -> None:
            skipped.append(str(item))
            progress.say(f"skipped: {error.message}")

        there = [item for item in dataset if item.path.exists()]
        for item in dataset:
            if not item.path.exists():
                skip(item.path, FileError(f"{item.path}: no such file"))
        results = zip(there, predictor.examine([item.path for item in there], on_error=skip), strict=True)
        for item, (raw, found) in progress.track(results, "evaluating", len(there)):
            if raw is not None:
                collected.add(found, dataset.labels(item, raw.shape[:2]), raw.shape[:2])
        return collected, skipped


def match_classes(model: Sequence[str], data: Sequence[str], said: Mapping[str, str]) -> dict[int, int]:
    """Index of the model's class -> index of the data's.

    Raises:
        UsageError: A name in `said` that is nowhere, or no class in common.
    """
    names = {name: index for index, name in enumerate(model)}
    there = {name: index for index, name in enumerate(data)}
    for own, other in said.items():
        if str(own) not in names or str(other) not in there:
            where, wanted, known = ("model", own, names) if str(own) not in names else ("data", other, there)
            listed = ", ".join(list(known)[:8]) + (", ..." if len(known) > 8 else "")
            raise UsageError(f"--classes {own}={other}: the {where} has no class {wanted!r}", hint=f"it has: {listed}")
    mapping = {index: there[name] for name, index in names.items() if name in there}
    mapping.update({names[str(own)]: there[str(other)] for own, other in said.items()})
    if not mapping:
        raise UsageError(
            f"no class of the model ({', '.join(list(model)[:5])}) is one of the data ({', '.join(list(data)[:5])})",
            hint="--classes MODEL=DATA says which class is which",
        )
    return mapping


class _Collected:
    """Labels and detections in the data's classes, as COCO wants them."""

    def __init__(self, dataset: Dataset, mapping: Mapping[int, int]) -> None:
        self.categories = [
            {"id": index + 1, "name": name} for index, name in enumerate(dataset.names) if index in mapping.values()
        ]
        self.mapping = mapping
        self.sizes: list[tuple[int, int]] = []
        self.annotations: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []
        self.found: list[Detections] = []
        self.labels: list[Labels] = []
        self.verdicts: list[np.ndarray] = []
        self.counted = 0

    def add(self, found: Detections, labels: Labels, size: tuple[int, int]) -> None:
        """One picture."""
        self.sizes.append(size)
        number = len(self.sizes)
        known = np.isin(labels.class_id, list(self.mapping.values()))
        labels = Labels(labels.xyxy[known], labels.class_id[known], labels.crowd[known], labels.area[known])
        kept = np.isin(found.class_id, list(self.mapping))
        translated = np.array([self.mapping[int(index)] for index in found.class_id[kept]], np.int64)
        found = Detections(found.xyxy[kept], found.confidence[kept], translated)
        self.found.append(found)
        self.labels.append(labels)
        for box, kind, crowd, area in zip(*vars(labels).values(), strict=True):
            self.annotations.append(
                {"id": len(self.annotations) + 1, "image_id": number, "category_id": int(kind) + 1,
                 "bbox": _xywh(box), "area": float(area), "iscrowd": int(crowd)}
            )  # fmt: skip
        for box, confidence, kind in zip(found.xyxy, found.confidence, found.class_id, strict=True):
            self.results.append(
                {"image_id": number, "category_id": int(kind) + 1, "bbox": _xywh(box), "score": float(confidence)}
            )
        self.verdicts.append(hits(found, labels))
        self.counted += int((~labels.crowd).sum())

    def figures(self) -> dict[str, Any]:
        """AP and its kin, precision, recall, F1, threshold. A size class without labels is None."""
        return {
            **self._average_precisions(),
            **best_f1([found.confidence for found in self.found], self.verdicts, self.counted),
        }

    def _average_precisions(self) -> dict[str, float | None]:
        from faster_coco_eval import COCO, COCOeval_faster

        if not self.sizes:
            raise FileError("none of the pictures of the data could be read", hint="see the lines above")
        if not self.counted:
            raise FileError("the data has no label of a class that the model knows", hint="check --data and --classes")
        if not self.results:
            return dict.fromkeys(FIGURES, 0.0)
        pictures = [{"id": index + 1, "height": h, "width": w} for index, (h, w) in enumerate(self.sizes)]
        truth = COCO({"images": pictures, "annotations": self.annotations, "categories": self.categories})
        judge = COCOeval_faster(truth, truth.loadRes(self.results), iouType="bbox")
        judge.run()
        stats = judge.stats_as_dict
        return {name: _known(stats[there]) for name, there in FIGURES.items()}


def _known(value: float) -> float | None:
    return float(value) if value >= 0 else None


def _xywh(box: np.ndarray) -> list[float]:
    left, top, right, bottom = (float(side) for side in box)
    return [left, top, right - left, bottom - top]
