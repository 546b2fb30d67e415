"""Label files of YOLO: where they are, and what their lines say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from qcore.plugin import FileError, counted
from qcore_kit.pictures.texts import read_text
from qcore_plugins.tasks.detection import label_lines, oddities
from qcore_plugins.tasks.detection.label_lines import Line
from qcore_plugins.tasks.detection.labels import (
    CENTRE,
    CORNER,
    CORNERS,
    Labels,
    distinct,
    from_centre,
    from_corner,
    other_layout,
    outside,
)
from qcore_plugins.tasks.detection.oddities import Oddities

ROUNDING = (0.00076,) * 4
"""Of three digits, on centre and size."""


def places(picture: Path) -> list[Path]:
    """Where the label file of a picture may be, the usual place first.

    `.../images/a.jpg` -> `.../labels/a.txt`, the last folder of that name counting first; then beside the picture;
    then the same from where a link leads.
    """
    files = []
    for path in dict.fromkeys((picture, picture.resolve())):
        parts = path.parts
        for index in range(len(parts) - 2, -1, -1):
            if parts[index].lower() == "images":
                labels = "labels" if parts[index] == "images" else "Labels"
                files.append(Path(*parts[:index], labels, *parts[index + 1 :]).with_suffix(".txt"))
        files.append(path.with_suffix(".txt"))
    return list(dict.fromkeys(files))


@dataclass
class LabelFiles:
    """Reads the label files of a data set; lines that cannot be labels are collected, and raised at the end.

    Attributes:
        names: Class names, by the numbers in the files.
        oddities: Where what is odd is counted.
        keypoints: Numbers behind each box, where the labels are of poses.
    """

    names: Sequence[str]
    oddities: Oddities
    keypoints: int = 0
    _faults: list[tuple[str, str]] = field(default_factory=list)
    _boxes: list[Line] = field(default_factory=list)
    _pictures: int = 0
    _missing: int = 0

    def read(self, picture: Path, elsewhere: Path | None = None) -> Labels:
        """The labels of a picture, in fractions of its sides; none where it has no label file.

        Args:
            picture: Its path.
            elsewhere: Where it would be if it had not been moved.
        """
        candidates = [*places(picture), *(places(elsewhere) if elsewhere else ())]
        file = next((path for path in candidates if path.is_file()), None)
        self._pictures += 1
        if file is None:
            self._missing += 1
            self.oddities.add(oddities.UNLABELLED, f"{picture}: {candidates[0]} not found")
            return self._labels(picture, [])
        lines = []
        for line in self._lines(file):
            if min(line.box[2:]) > 0:
                lines.append(line)
            else:
                self.oddities.add(oddities.EMPTY, f"{file}: line {line.number}")
        return self._labels(file, lines)

    def _lines(self, file: Path) -> list[Line]:
        lines = []
        for number, text in enumerate(read_text(file).splitlines(), 1):
            if not text.strip() or text.lstrip().startswith("#"):
                continue
            try:
                line = label_lines.parse(text, number, len(self.names), self.keypoints)
            except label_lines.Fault as fault:
                self._faults.append((f"{file}: line {number}: {fault}", fault.hint))
                continue
            if line.sixth is not None:
                self.oddities.add(oddities.SIXTH, f"{file}: line {number}")
            lines.append(line)
        self._boxes += [line for line in lines if not line.outline]
        return lines

    def _labels(self, file: Path, lines: Sequence[Line]) -> Labels:
        boxes = np.array([line.box for line in lines], np.float64).reshape(-1, 4)
        kinds = np.array([line.kind for line in lines], np.int64)
        labels = Labels(from_centre(boxes), kinds, np.zeros(len(lines), bool), boxes[:, 2] * boxes[:, 3])
        kept, near = distinct(labels, ROUNDING)
        if removed := sorted(set(range(len(lines))) - set(kept.tolist())):
            self.oddities.add(oddities.DUPLICATES, f"{file}: line {lines[removed[0]].number}", len(removed))
        self.oddities.add(oddities.NEAR, str(file), near)
        labels = labels.chosen(kept)
        beyond = outside(labels.xyxy, np.ones((len(kept), 2)))
        if beyond.any():
            number = lines[int(kept[beyond.argmax()])].number
            self.oddities.add(oddities.BEYOND, f"{file}: line {number}", int(beyond.sum()))
        return labels

    def finish(self, source: Path) -> None:
        """Judge the whole.

        Raises:
            FileError: Lines that cannot be labels, boxes that were written in another layout, or no label file at all.
        """
        if self._faults:
            message, hint = self._faults[0]
            more = len(self._faults) - 1
            raise FileError(f"{message} (and {counted(more, 'more line')})" if more else message, hint=hint)
        if self._pictures and self._missing == self._pictures:
            example = self.oddities.example(oddities.UNLABELLED)
            raise FileError(
                f"{source}: none of its {counted(self._pictures, 'picture')} has a label file, e.g. {example}",
                hint="put label files into labels/ beside images/, or beside the pictures",
            )
        if written := self._written():
            raise FileError(
                f"{source}: the boxes in its label files seem to be {written}; expected {CENTRE}",
                hint=label_lines.FORMAT,
            )

    def _written(self) -> str | None:
        """The layout of the boxes, where it is not YOLO's."""
        boxes = np.array([line.box for line in self._boxes], np.float64).reshape(-1, 4)
        others = {CORNERS: boxes, CORNER: from_corner(boxes)}
        shifted = [(*line.box[1:], line.sixth) for line in self._boxes if line.sixth is not None]
        if len(shifted) == len(boxes):
            moved = np.array(shifted, np.float64).reshape(-1, 4)
            others |= {f"a confidence, {CENTRE}": from_centre(moved), f"a confidence, {CORNERS}": moved}
        return other_layout(from_centre(boxes), np.ones((len(boxes), 2)), others)
