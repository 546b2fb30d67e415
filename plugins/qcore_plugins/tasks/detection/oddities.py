"""What is odd about labelled data: counted by kind, told in one line each."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from qcore.plugin import AssumptionWarning, counted

DUPLICATES = "duplicate_labels"
NEAR = "nearly_equal_boxes"
SIXTH = "ignored_columns"
UNLABELLED = "missing_label_files"
EMPTY = "empty_boxes"
BEYOND = "boxes_beyond_the_picture"
TINY = "boxes_below_a_pixel"
STRAY = "annotations_of_unlisted_images"
RESIZED = "pictures_of_another_size"
ABSENT = "missing_pictures"
CROWDED = "pictures_of_many_labels"
CAPPED = "pictures_of_too_many_detections"
COUNTED = 100
"""Detections of one class in one picture that COCO's AP counts."""

PHRASES = {
    DUPLICATES: ("duplicate label", "removed"),
    NEAR: ("box", "nearly equal to another one of the same class (IoU above 0.95), kept"),
    SIXTH: ("label", "with a sixth column (a confidence?), which is ignored"),
    UNLABELLED: ("picture", "without a label file, taken as empty"),
    EMPTY: ("box", "without width or height removed"),
    BEYOND: ("box", "reaching beyond the picture, kept as labelled"),
    TINY: ("box", "smaller than a pixel"),
    STRAY: ("annotation", "of unlisted images left out"),
    RESIZED: ("picture", "of another size than the json says, so that the labels do not fit"),
    ABSENT: ("missing picture", "skipped"),
    CROWDED: (
        "picture",
        "with more labels of a class than the {counted} detections that AP counts; --max-detections N counts more",
    ),
    CAPPED: (
        "picture",
        "with as many detections as the contract keeps (max_detections of postprocess), so others may be missing",
    ),
}
"""Kind -> the thing that is counted, and what is the matter with it."""


class Oddities:
    """Counts by kind with the first example of each, and other remarks.

    Attributes:
        source: What the data was read from.
        counted: Detections of one class in one picture that AP counts.
    """

    def __init__(self, source: Path) -> None:
        self.source = source
        self.counted = COUNTED
        self._found: dict[str, tuple[int, str]] = {}
        self._remarks: list[str] = []
        self._told = 0
        self._kinds_told: set[str] = set()

    def add(self, kind: str, example: str, count: int = 1) -> None:
        """Count one thing, or several of which one is the example."""
        if count:
            before, first = self._found.get(kind, (0, example))
            self._found[kind] = before + count, first

    def remark(self, *lines: str) -> None:
        """Keep whole lines."""
        self._remarks += lines

    def has(self, kind: str) -> bool:
        """Whether there is such a thing."""
        return kind in self._found

    def line(self, kind: str) -> str:
        """How many there are, what is the matter with them, and the first one."""
        count, example = self._found[kind]
        thing, matter = PHRASES[kind]
        return f"{counted(count, thing)} {matter.format(counted=self.counted)}, e.g. {example}"

    def example(self, kind: str) -> str:
        """The first one of a kind."""
        return self._found[kind][1]

    def document(self) -> dict[str, Any]:
        """Kind -> count and example, and the remarks; empty where nothing is odd."""
        kinds: dict[str, Any] = {
            kind: {"count": count, "example": example} for kind, (count, example) in self._found.items()
        }
        return {**kinds, **({"remarks": list(self._remarks)} if self._remarks else {})}

    def tell(self) -> None:
        """Warn of what was not told of yet, a line for each kind."""
        lines = self._remarks[self._told :]
        self._told = len(self._remarks)
        lines += [f"{self.source}: {self.line(kind)}" for kind in self._found if kind not in self._kinds_told]
        self._kinds_told |= set(self._found)
        for line in lines:
            warnings.warn(line, AssumptionWarning, stacklevel=3)
