"""Detections: what every detector's postprocessor gives, how they are drawn, converted and written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from qcore.plugin import MissingDependency, UsageError

if TYPE_CHECKING:
    import supervision


NAMED = 5
"""Classes that the text of detections names."""
CategoryIds = Mapping[int, int] | Sequence[int]
"""Class index -> category id."""


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

    def __repr__(self) -> str:
        counts = Counter(self.name(int(index)) for index in self.class_id)
        named = ", ".join(f"{count} {name}" for name, count in counts.most_common(NAMED))
        more = ", ..." if len(counts) > NAMED else ""
        return f"Detections({len(self)}{': ' if named else ''}{named}{more})"

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
        """As `supervision.Detections`, with the same arrays; see `to_supervision`."""
        return _to_supervision(self)

    @staticmethod
    def from_supervision(theirs: supervision.Detections, names: Sequence[str] = ()) -> Detections:
        """Of `supervision.Detections`, with the same arrays where it can; see `from_supervision`."""
        return _from_supervision(theirs, names)

    def to_coco(
        self, image_id: int | str, category_ids: Mapping[int, int] | Sequence[int] | None = None
    ) -> list[dict[str, Any]]:
        """As COCO results; see `to_coco`."""
        return _to_coco(self, image_id, category_ids)

    @staticmethod
    def from_coco(records: Iterable[Mapping[str, Any]], categories: Iterable[Mapping[str, Any]]) -> Detections:
        """Of COCO results of one picture; see `from_coco`."""
        return _from_coco(records, categories)


def _to_supervision(found: Detections) -> supervision.Detections:
    """The same arrays, not copies, as supervision's detections.

    Raises:
        MissingDependency: supervision is not installed.
    """
    try:
        from supervision import Detections as Theirs
    except ImportError as error:
        raise MissingDependency("supervision is not installed", hint="pip install supervision") from error
    names = np.array([found.name(int(index)) for index in found.class_id], dtype=str)
    return Theirs(xyxy=found.xyxy, confidence=found.confidence, class_id=found.class_id, data={"class_name": names})


def _from_supervision(theirs: supervision.Detections, names: Sequence[str] = ()) -> Detections:
    """Detections that share the arrays of supervision's where those have the type and the order that is wanted here.

    Masks, trackers and other data are left out.

    Args:
        theirs: What is not labelled with confidences counts as certain.
        names: Class names; by default those in `class_name` at their class indices.

    Raises:
        UsageError: It has no class indices.
    """
    count = len(theirs.xyxy)
    if theirs.class_id is None and count:
        raise UsageError("these detections have no class_id", hint="set class_id first, e.g. to zeros")
    classes = np.asarray(theirs.class_id if theirs.class_id is not None else [], np.int64)
    confidence = np.asarray(theirs.confidence if theirs.confidence is not None else np.ones(count), np.float32)
    known = dict(zip(classes.tolist(), map(str, theirs.data.get("class_name", ())), strict=False))
    kept = tuple(names) or tuple(known.get(index, str(index)) for index in range(max(known, default=-1) + 1))
    return ordered(Detections(np.asarray(theirs.xyxy, np.float32).reshape(-1, 4), confidence, classes, kept))


def _to_coco(found: Detections, image_id: int | str, category_ids: CategoryIds | None = None) -> list[dict[str, Any]]:
    """COCO results: image_id, category_id, bbox (left, top, width, height in pixels), score.

    Args:
        found: In one picture.
        image_id: Of the picture.
        category_ids: Class index -> category id; detections of a class without one are left out. By default class index
            + 1, as COCO's ids begin with 1.
    """
    known = (
        category_ids if isinstance(category_ids, Mapping)
        else dict(enumerate(category_ids)) if category_ids is not None
        else {index: index + 1 for index in found.class_id.tolist()}
    )  # fmt: skip
    left, top, right, bottom = found.xyxy.astype(np.float64).T
    boxes = np.stack((left, top, right - left, bottom - top), 1).tolist()
    return [
        {"image_id": image_id, "category_id": known[index], "bbox": box, "score": score}
        for box, score, index in zip(boxes, found.confidence.tolist(), found.class_id.tolist(), strict=True)
        if index in known
    ]


def _from_coco(records: Iterable[Mapping[str, Any]], categories: Iterable[Mapping[str, Any]]) -> Detections:
    """Detections of COCO results, or annotations, of one picture; what has no score counts as certain.

    Args:
        records: With `bbox`, `category_id` and, for results, `score`.
        categories: COCO's, with `id` and `name`; their order is that of the class indices.

    Raises:
        UsageError: A record is not one, or of a category that is not there.
    """
    listed, rows = list(categories), list(records)
    try:
        order = {entry["id"]: index for index, entry in enumerate(listed)}
        boxes = np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4)
        classes = np.array([order[row["category_id"]] for row in rows], np.int64)
        scores = np.array([row.get("score", 1.0) for row in rows], np.float32)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"not COCO results of these categories{_lacking(rows, listed)}",
            hint="each needs bbox [x, y, width, height] and a category_id that categories has",
        ) from error
    boxes[:, 2:] += boxes[:, :2]
    names = tuple(str(entry["name"]) for entry in listed)
    return ordered(Detections(boxes.astype(np.float32), scores, classes, names))


def _lacking(rows: Sequence[Any], categories: Sequence[Any]) -> str:
    """`: record 3 has no bbox`, or the like; nothing where it is something else that is wrong."""
    known = {entry.get("id") for entry in categories if isinstance(entry, Mapping)}
    if any(not isinstance(entry, Mapping) or "id" not in entry for entry in categories):
        return ": a category has no id"
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            return f": record {place} is not an object"
        if lacking := [name for name in ("bbox", "category_id") if name not in row]:
            return f": record {place} has no {lacking[0]}"
        if row["category_id"] not in known:
            return f": record {place} has category_id {row['category_id']}, which is not among the categories"
        if not isinstance(row["bbox"], Sequence) or len(row["bbox"]) != 4:
            return f": bbox of record {place} is not four numbers"
    return ""


def ordered(found: Detections) -> Detections:
    """The same, most confident first; itself where it already is."""
    if (found.confidence[1:] <= found.confidence[:-1]).all():
        return found
    order = np.argsort(-found.confidence, kind="stable")
    return Detections(found.xyxy[order], found.confidence[order], found.class_id[order], found.names)


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU of every pair, `[N, M]` float64, of boxes `[N, 4]` and `[M, 4]` as left, top, right, bottom."""
    boxes, others = boxes.astype(np.float64), others.astype(np.float64)
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    own, theirs = ((sides[:, 2:] - sides[:, :2]).prod(-1) for sides in (boxes, others))
    result: np.ndarray = shared / np.maximum(own[:, None] + theirs[None] - shared, 1e-9)
    return result
