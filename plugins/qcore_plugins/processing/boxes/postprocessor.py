"""The postprocessor `yolo`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qcore.plugin import Tensor, UsageError
from qcore_kit.boxes.detections import Detections
from qcore_kit.boxes.outputs import suppressed_names
from qcore_kit.detectors.contracts import layout
from qcore_kit.layouts import layout_of
from qcore_kit.parameters import parse
from qcore_plugins.processing.boxes import scripts
from qcore_plugins.processing.boxes.nms import suppress
from qcore_plugins.processing.boxes.quantities import quantities


@dataclass(frozen=True)
class Parameters:
    """What a contract says of `yolo`.

    Attributes:
        confidence: Lowest score, 0..1; a score has to be greater.
        iou: Overlap above which the weaker of two boxes goes, 0..1.
        max_detections: Most detections in a picture.
        multi_label: Whether one box may be reported with several classes.
        class_agnostic: Whether boxes of different classes suppress each other.
        max_candidates: Best boxes that enter the suppression.
    """

    confidence: float = 0.25
    iou: float = 0.45
    max_detections: int = 1000
    multi_label: bool = False
    class_agnostic: bool = False
    max_candidates: int = 30000

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Parameters:
        """The parameters, every one known and in range.

        Raises:
            UsageError: An unknown name, or a threshold outside 0..1.
        """
        parameters = parse(cls, "yolo", given)
        if parameters.max_detections < 1 or parameters.max_candidates < 1:
            raise UsageError("max_detections and max_candidates are positive numbers")
        for name in ("confidence", "iou"):
            if not 0 <= getattr(parameters, name) <= 1:
                raise UsageError(f"{name} {getattr(parameters, name)} is not between 0 and 1")
        return parameters


class Yolo:
    """From the outputs of a YOLO-type head to detections."""

    def __init__(self, params: Mapping[str, Any], outputs: Sequence[Tensor], classes: Sequence[str]) -> None:
        """Configure from a contract.

        Args:
            params: See `Parameters`.
            outputs: Their meanings and stages choose how they are read.
            classes: Names in the order of the class index.

        Raises:
            UsageError: Unknown parameters, or outputs whose meaning is not known here.
        """
        self.params = Parameters.parse(params)
        self.names = tuple(classes)
        self._outputs = tuple(outputs)
        self._suppressed = suppressed_names(outputs)
        if self._suppressed:
            self._check(outputs[0].attributes)
        else:
            self._layout = layout_of(outputs)

    def __call__(self, outputs: Mapping[str, Any], geometries: Sequence[Any]) -> list[Detections]:
        """One `Detections` for each element of the batch, in picture coordinates, clipped to the picture."""
        if self._suppressed:
            given = [outputs[name] for name in self._suppressed]
            rows = zip(*given, geometries, strict=True)
            return [self._cut(*row) for row in rows]
        boxes, scores = self._layout.read(self._outputs, outputs)
        return [self._one(boxes[index], scores[index], geometry) for index, geometry in enumerate(geometries)]

    def quantities(self, outputs: Mapping[str, Any], inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Boxes, objectness and class scores in the outputs for one input, each with the name of every place."""
        tensor = next(iter(inputs.values()))
        height, width = tensor.shape[1:3] if layout(tensor.shape) == "NHWC" else tensor.shape[2:]
        if self._suppressed:
            return {}
        return quantities(self._layout, self._outputs, outputs, (height, width), self.names)

    def source(self) -> str:
        """The text of `postprocess` for `qcore snippet`.

        Raises:
            UsageError: Outputs that no text reads.
        """
        layout = None if self._suppressed else self._layout
        return scripts.source(self.params, self._outputs, self.names, layout, self._suppressed)

    def select(self, boxes: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Threshold and suppress.

        Args:
            boxes: `[N, 4]` xyxy in pixels.
            scores: `[N, classes]`.

        Returns:
            Boxes `[M, 4]`, scores `[M]` and class indices `[M]`, best first.
        """
        params = self.params
        if params.multi_label and scores.shape[1] > 1:
            rows, classes = np.nonzero(scores > params.confidence)
            best = scores[rows, classes]
        else:
            classes = scores.argmax(1)
            best = scores[np.arange(len(scores)), classes]
            rows = np.flatnonzero(best > params.confidence)
            classes, best = classes[rows], best[rows]
        if len(rows) > params.max_candidates:
            chosen = np.argsort(-best, kind="stable")[: params.max_candidates]
            rows, classes, best = rows[chosen], classes[chosen], best[chosen]
        kept = suppress(
            boxes[rows], best, None if params.class_agnostic else classes, params.iou, params.max_detections
        )
        return boxes[rows[kept]], best[kept], classes[kept]

    def _check(self, baked: Mapping[str, Any]) -> None:
        """Refuse thresholds that the suppression inside the graph has gone beyond."""
        params = self.params
        lower = params.confidence < float(baked.get("confidence", 0))
        if lower or params.iou != float(baked.get("iou", params.iou)):
            raise UsageError(
                f"NMS in this file is fixed at confidence {baked.get('confidence')} and IoU "
                f"{baked.get('iou')}; it cannot run at {params.confidence} and {params.iou}",
                hint="use a file with --head decoded for that",
            )

    def _cut(
        self, count: np.ndarray, boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, geometry: Any
    ) -> Detections:
        """What the graph found, above the threshold."""
        kept = np.flatnonzero(scores[: int(count[0])] > self.params.confidence)[: self.params.max_detections]
        placed = geometry.clip(geometry.to_picture(boxes[kept])).astype(np.float32)
        return Detections(placed, scores[kept].astype(np.float32), classes[kept].astype(np.int64), self.names)

    def _one(self, boxes: np.ndarray, scores: np.ndarray, geometry: Any) -> Detections:
        boxes_, confidence, classes = self.select(boxes, scores)
        placed = geometry.clip(geometry.to_picture(boxes_)).astype(np.float32)
        return Detections(placed, confidence.astype(np.float32), classes.astype(np.int64), self.names)
