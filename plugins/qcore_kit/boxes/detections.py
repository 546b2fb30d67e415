"""Detections: what every detector's postprocessor gives, how they are drawn, converted and written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import supervision


@dataclass(frozen=True)
class Detections:
    """Objects found in one picture, most confident first.

    Attributes:
        xyxy: `[N, 4]` float32: left, top, right, bottom in pixels of the picture.
        confidence: `[N]` float32, 0..1.
        class_id: `[N]` int64, index into `names`.
        names: Class names of the model.
    """

    xyxy: np.ndarray
    confidence: np.ndarray
    class_id: np.ndarray
    names: tuple[str, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        """How many."""
        return len(self.confidence)

    def __iter__(self) -> Iterator[tuple[np.ndarray, float, str]]:
        """Box, confidence and class name of each."""
        for box, confidence, index in zip(self.xyxy, self.confidence, self.class_id, strict=True):
            yield box, float(confidence), self.name(int(index))

    def name(self, index: int) -> str:
        """Name of a class; its number where the model has no name for it."""
        return self.names[index] if index < len(self.names) else str(index)

    def records(self) -> list[dict[str, Any]]:
        """JSON-able: name, class_id, confidence, box."""
        return [
            {
                "name": self.name(int(index)),
                "class_id": int(index),
                "confidence": round(float(confidence), 6),
                "box": [round(float(side), 2) for side in box],
            }
            for box, confidence, index in zip(self.xyxy, self.confidence, self.class_id, strict=True)
        ]

    def to_supervision(self) -> supervision.Detections:
        """As `supervision.Detections`, with the same arrays; see `conversions.to_supervision`."""
        return _conversions().to_supervision(self)

    @staticmethod
    def from_supervision(theirs: supervision.Detections, names: Sequence[str] = ()) -> Detections:
        """Of `supervision.Detections`, with the same arrays where it can; see `conversions.from_supervision`."""
        return _conversions().from_supervision(theirs, names)

    def to_coco(
        self, image_id: int | str, category_ids: Mapping[int, int] | Sequence[int] | None = None
    ) -> list[dict[str, Any]]:
        """As COCO results; see `conversions.to_coco`."""
        return _conversions().to_coco(self, image_id, category_ids)

    @staticmethod
    def from_coco(records: Iterable[Mapping[str, Any]], categories: Iterable[Mapping[str, Any]]) -> Detections:
        """Of COCO results of one picture; see `conversions.from_coco`."""
        return _conversions().from_coco(records, categories)


def _conversions() -> Any:
    from qcore_kit.boxes import conversions

    return conversions


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU of every pair, `[N, M]` float64, of boxes `[N, 4]` and `[M, 4]` as left, top, right, bottom."""
    boxes, others = boxes.astype(np.float64), others.astype(np.float64)
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    own, theirs = ((sides[:, 2:] - sides[:, :2]).prod(-1) for sides in (boxes, others))
    return shared / np.maximum(own[:, None] + theirs[None] - shared, 1e-9)
