"""Detections for people and files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from qcore_kit.boxes.detections import Detections


class DetectionResults:
    """Records, drawings, films, COCO results and YOLO txt; kept exactly, with the size of the picture."""

    def records(self, result: Detections) -> list[dict[str, Any]]:
        """JSON-able records: name, class_id, confidence, box."""
        return result.records()

    def kept(self, raw: Any, result: Detections) -> list[Any]:
        """`[height, width, xyxy, confidence, class_id]`."""
        from qcore_plugins.tasks.detection.tally import packed

        height, width = raw.shape[:2]
        return [int(height), int(width), *packed(result)]

    def restored(self, kept: Any, classes: Sequence[str]) -> tuple[Any, Detections]:
        """A black picture of the same size, and the detections; errors as in `Keeps`."""
        import numpy as np

        from qcore_plugins.tasks.detection.tally import unpacked

        height, width, *packed = kept
        detections = replace(unpacked(packed), names=tuple(classes))
        return np.broadcast_to(np.uint8(0), (int(height), int(width), 3)), detections

    def draw(self, raw: Any, result: Detections, path: Path) -> None:
        """Write the picture with its boxes."""
        from qcore_plugins.tasks.detection.drawing import write

        write(raw, result, path)

    def film(self, folder: Path, stem: str, rate: float | None) -> AbstractContextManager[Any]:
        """A video of frames with their boxes; see `drawing.film`."""
        from qcore_plugins.tasks.detection.drawing import film

        return film(folder, stem, rate)

    def writers(self, classes: Sequence[str]) -> dict[str, Any]:
        """COCO results and YOLO txt; see `writers`."""
        from qcore_plugins.tasks.detection import writers

        return {
            "coco": partial(writers.coco, names=tuple(classes)),
            "yolo": writers.yolo,
            "yolo-labels": partial(writers.yolo, confidence=False),
        }
