"""Detections on labelled pictures, being added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from qcore.plugin import FileError
from qcore_kit.boxes.detections import Detections
from qcore_kit.reports import Section
from qcore_plugins.tasks.detection import capping, fit
from qcore_plugins.tasks.detection.bootstrap import Matches
from qcore_plugins.tasks.detection.collected import Collected
from qcore_plugins.tasks.detection.dataset import Dataset, Labels
from qcore_plugins.tasks.detection.oddities import COUNTED


class DetectionTally:
    """What a model found in the pictures of a data set.

    In whatever order, and on however many machines, the pictures were worked on: the figures are the same.
    """

    def __init__(
        self, data: str, dataset: Dataset, mapping: Mapping[int, int], kept: frozenset[int] = frozenset()
    ) -> None:
        """Begin.

        Args:
            data: What to call the data in remarks.
            dataset: The pictures with their labels.
            mapping: Class of the model -> class of the data.
            kept: As `capping.limits` gives it.
        """
        self._data, self._dataset, self._mapping, self._kept = data, dataset, mapping, kept
        self._there = [item for item in dataset if item.path.exists()]
        self.absent = [str(item.path) for item in dataset if not item.path.exists()]
        self._unread: set[int] = set()
        self._taken: dict[int, tuple[Detections, Labels, tuple[int, int]]] = {}
        self.items: Sequence[Any] = [item.path for item in self._there]

    def add(self, place: int, raw: Any, result: Any) -> None:
        """Take the detections of one picture; None where it could not be read."""
        if raw is None:
            self._unread.add(place)
        else:
            self._take(place, result, raw.shape[:2])

    def _take(self, place: int, found: Detections, size: tuple[int, int]) -> None:
        labels = self._dataset.labels(self._there[place], size)
        capping.tell(self._dataset.oddities, self._there[place].path, found, labels, self._kept)
        self._taken[place] = found, labels, size

    def state(self) -> dict[str, Any]:
        """What was added: `{"unread": [place], "pictures": [[place, [height, width], xyxy, confidence, class]]}`."""
        pictures = [
            [place, list(map(int, size)), *packed(found)] for place, (found, _, size) in sorted(self._taken.items())
        ]
        return {"unread": sorted(self._unread), "pictures": pictures}

    def merge(self, state: Any) -> None:
        """Add what another tally of the same data was given.

        Raises:
            FileError: It is no such state, or a picture is in both.
        """
        try:
            unread = [int(place) for place in state["unread"]]
            pictures = [
                (int(place), unpacked((boxes, confidence, kinds)), (int(size[0]), int(size[1])))
                for place, size, boxes, confidence, kinds in state["pictures"]
            ]
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise FileError("not the detections of a part of the data") from error
        places = [*unread, *(place for place, *_ in pictures)]
        if beyond := [place for place in places if not 0 <= place < len(self.items)]:
            raise FileError(f"picture {beyond[0]} is in it, the data has {len(self.items)}")
        known = [*places, *self._taken, *self._unread]
        if twice := sorted(place for place, times in Counter(known).items() if times > 1):
            raise FileError(f"{self.items[twice[0]]} was evaluated already")
        self._unread.update(unread)
        for place, found, size in pictures:
            self._take(place, found, size)

    def figures(self) -> dict[str, Any]:
        """AP and its kin, precision, recall and F1; how many pictures, what was skipped, what is odd about the data.

        Raises:
            FileError: No picture, or no label, that counts.
        """
        collected = self._collected
        return {
            **collected.figures(),
            **({"max_detections": most} if (most := self._dataset.oddities.counted) != COUNTED else {}),
            "images": len(collected.sizes),
            "skipped": [*self.absent, *(str(self.items[place]) for place in sorted(self._unread))],
            "classes": len(set(collected.mapping.values())),
            "oddities": self._dataset.oddities.document(),
        }

    def sections(self, read: Callable[[Any], Any]) -> Sequence[Section]:
        """What a report shows."""
        from qcore_plugins.tasks.detection.showing import sections

        return sections(self._collected, self.figures(), read)

    def matches(self) -> Matches:
        """Detections matched with labels, picture by picture, for `bootstrap.difference`."""
        return Matches.of(self._collected.found, self._collected.labels, self._dataset.oddities.counted)

    @cached_property
    def _collected(self) -> Collected:
        collected = Collected(self._dataset, self._mapping, self._dataset.oddities.counted)
        for place, (found, labels, size) in sorted(self._taken.items()):
            collected.add(self._there[place].path, found, labels, size)
        lines = fit.remarks(collected.found, collected.labels, self._dataset.names)
        self._dataset.oddities.remark(*(f"{self._data}: {line}" for line in lines))
        self._dataset.finish()
        return collected


def packed(found: Detections) -> list[Any]:
    """Detections as plain data: boxes, confidences, classes."""
    return [found.xyxy.tolist(), found.confidence.tolist(), found.class_id.tolist()]


def unpacked(state: Any) -> Detections:
    """The inverse.

    Raises:
        TypeError, ValueError: It is no such data.
    """
    boxes, confidence, kinds = state
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    detections = Detections(xyxy, np.array(confidence, np.float32), np.array(kinds, np.int64))
    if not len(detections.xyxy) == len(detections.confidence) == len(detections.class_id):
        raise ValueError("not as many boxes as confidences")
    return detections
