"""What a run over labelled pictures gives, as COCO wants it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from qcore.plugin import FileError
from qcore_kit.boxes.detections import Detections
from qcore_plugins.tasks.detection.dataset import Dataset, Labels
from qcore_plugins.tasks.detection.matching import best_f1, hits
from qcore_plugins.tasks.detection.oddities import COUNTED

FIGURES = {
    "AP": "AP_all", "AP50": "AP_50", "AP75": "AP_75",
    "AP_small": "AP_small", "AP_medium": "AP_medium", "AP_large": "AP_large",
}  # fmt: skip
"""Name here -> name in faster-coco-eval."""
SIZES = {"AP_small": (0, 32**2), "AP_medium": (32**2, 96**2), "AP_large": (96**2, float("inf"))}
"""Areas of COCO's classes of size, in pixels."""


class Collected:
    """Labels and detections in the data's classes, as COCO wants them.

    Args:
        dataset: The data.
        mapping: Class of the model -> class of the data.
        most: Detections of one class in one picture that AP counts.
    """

    def __init__(self, dataset: Dataset, mapping: Mapping[int, int], most: int = COUNTED) -> None:
        self.categories: list[dict[str, Any]] = [
            {"id": index + 1, "name": name} for index, name in enumerate(dataset.names) if index in mapping.values()
        ]
        self.names = dataset.names
        self.most = most
        self.mapping = mapping
        self.paths: list[Path] = []
        self.sizes: list[tuple[int, int]] = []
        self.annotations: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []
        self.found: list[Detections] = []
        self.labels: list[Labels] = []
        self.verdicts: list[np.ndarray] = []
        self.counted = 0

    def add(self, path: Path, found: Detections, labels: Labels, size: tuple[int, int]) -> None:
        """One picture."""
        self.paths.append(path)
        self.sizes.append(size)
        number = len(self.sizes)
        known = np.isin(labels.class_id, list(self.mapping.values()))
        labels = labels.chosen(known)
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
        if self.judged is None:
            areas = [each["area"] for each in self.annotations if not each["iscrowd"]]
            there = {name: any(low <= area < high for area in areas) for name, (low, high) in SIZES.items()}
            return {name: 0.0 if there.get(name, True) else None for name in FIGURES}
        stats = self.judged.stats_as_dict
        return {name: _known(stats[there]) for name, there in FIGURES.items()}

    @cached_property
    def judged(self) -> Any:
        """COCO's evaluation when it has run; None where nothing was found.

        Raises:
            FileError: No picture, or no label, that counts.
        """
        from faster_coco_eval import COCO, COCOeval_faster

        if not self.sizes:
            raise FileError("none of the pictures of the data could be read", hint="see the lines above")
        if not self.counted:
            raise FileError("the data has no label of a class that the model knows", hint="check --data and --classes")
        if not self.results:
            return None
        pictures = [{"id": index + 1, "height": h, "width": w} for index, (h, w) in enumerate(self.sizes)]
        truth = COCO({"images": pictures, "annotations": self.annotations, "categories": self.categories})
        judge = COCOeval_faster(truth, truth.loadRes(self.results), iouType="bbox")
        judge.params.maxDets = [*(few for few in (1, 10) if few < self.most), self.most]
        judge.run()
        return judge


def _known(value: float) -> float | None:
    return float(value) if value >= 0 else None


def _xywh(box: np.ndarray) -> list[float]:
    left, top, right, bottom = (float(side) for side in box)
    return [left, top, right - left, bottom - top]
