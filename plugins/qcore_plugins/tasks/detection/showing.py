"""What a report shows of a run over labelled pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qcore_kit.boxes.detections import Detections
from qcore_kit.reports import Block, Curves, Histogram, Picture, Pictures, Section, Table
from qcore_plugins.tasks.detection.collected import Collected
from qcore_plugins.tasks.detection.matching import matched
from qcore_plugins.tasks.detection.pairing import above
from qcore_plugins.tasks.detection.worst import KEPT, small

MEANING = {
    "AP": "mean of IoU .50 to .95, all sizes",
    "AP50": "at IoU .50",
    "AP75": "at IoU .75",
    "AP_small": "objects below 32 x 32 pixels",
    "AP_medium": "between",
    "AP_large": "above 96 x 96 pixels",
    "precision": "share of detections that are correct, at the threshold below and IoU 0.50",
    "recall": "part of the objects that are found, likewise",
    "F1": "harmonic mean of precision and recall, at the best threshold",
    "threshold": "the confidence at which it is highest",
}
EDGES = np.linspace(0, 1, 26)
AT = {"IoU .50": 0, "IoU .75": 5}
"""Name -> place among COCO's ten overlaps."""
Read = Callable[[Path], np.ndarray]


def sections(collected: Collected, figures: Mapping[str, Any], read: Read) -> list[Section]:
    """Figures, curves and histograms; the worst pictures.

    Args:
        collected: Of the whole run.
        figures: Of it.
        read: Reads a picture again as BGR `[H, W, 3]`.
    """
    threshold = figures["threshold"]
    accuracy: list[Block] = [
        Table(("figure", "value", ""), [(key, _cell(figures[key]), told) for key, told in MEANING.items()]),
        *([_curves(collected)] if collected.judged else []),
        _histogram(collected),
        *([_classes(collected)] if collected.judged else []),
    ]
    text = f"{figures['images']} pictures, {collected.counted} objects of {figures['classes']} classes."
    shown = [Section("Accuracy", accuracy, text)]
    if odd := [(key.replace("_", " "), entry) for key, entry in figures.get("oddities", {}).items()]:
        rows = [(key, entry["count"], entry["example"]) for key, entry in odd if isinstance(entry, dict)]
        rows += [(line, "", "") for key, entry in odd if not isinstance(entry, dict) for line in entry]
        shown.append(Section("The data", [Table(("what is odd", "count", "example"), rows)]))
    if worst := list(_worst(collected, threshold, read)):
        text = (
            f"Those with the most missed and wrong objects at confidence {threshold:.3f}, where F1 is highest, and IoU "
            f".50: what the labels say, and what was found."
        )
        shown.append(Section("Worst pictures", [Pictures(worst)], text))
    return shown


def _precision(collected: Collected) -> np.ndarray:
    """Interpolated precision `[IoU, recall, class]`, NaN where a class has no label."""
    precision = np.asarray(collected.judged.eval["precision"])[..., 0, -1]
    return np.where(precision < 0, np.nan, precision)


def _curves(collected: Collected) -> Curves:
    precision = _precision(collected)
    recalls = np.linspace(0, 1, precision.shape[1]).tolist()
    known = ~np.isnan(precision[0]).all(0)
    lines = {name: (recalls, precision[place][:, known].mean(1).tolist()) for name, place in AT.items()}
    return Curves(lines, "recall", "precision", "Precision-recall curve, mean over classes")


def _histogram(collected: Collected) -> Histogram:
    confidence = np.concatenate([np.zeros(0), *(found.confidence for found in collected.found)])
    verdict = np.concatenate([np.zeros(0, int), *collected.verdicts])
    counts = {
        name: np.histogram(confidence[verdict == value], EDGES)[0].tolist()
        for name, value in (("right", 1), ("wrong", 0))
    }
    return Histogram(EDGES.tolist(), counts, "confidence", "Confidence of right and wrong detections, at IoU .50")


def _classes(collected: Collected) -> Table:
    precision = _precision(collected)
    labels = np.bincount(
        np.concatenate([each.class_id[~each.crowd] for each in collected.labels]).astype(int),
        minlength=len(collected.names),
    )
    rows: list[tuple[Any, ...]] = []
    for place, category in enumerate(collected.categories):
        if count := int(labels[category["id"] - 1]):
            own = precision[:, :, place].mean(1)
            rows.append((category["name"], count, *(f"{value:.4f}" for value in (own.mean(), own[0], own[5]))))
    rows.sort(key=lambda row: row[2])
    return Table(("class", "objects", "AP", "AP50", "AP75"), rows, "AP of each class, the lowest first", folded=True)


def _worst(collected: Collected, threshold: float, read: Read) -> Iterator[tuple[str, list[Picture]]]:
    """Only now is the threshold known, so these pictures are read again."""
    bad = []
    for place, (detections, labels, verdict) in enumerate(
        zip(collected.found, collected.labels, collected.verdicts, strict=True)
    ):
        kept = detections.confidence >= threshold
        wrong = int((verdict[kept] == 0).sum())
        missed = int((~labels.crowd).sum()) - int((verdict[kept] == 1).sum())
        if wrong + missed:
            bad.append((-wrong - missed, place, missed, wrong))
    for _, place, missed, wrong in sorted(bad)[:KEPT]:
        path, labels = collected.paths[place], collected.labels[place]
        detections = above(collected.found[place], threshold)
        verdict, free = matched(detections, labels)
        truth = Detections(labels.xyxy.astype(np.float32), np.ones(len(free), np.float32), labels.class_id)
        picture = read(path)
        yield (
            f"{path.name}: {missed} missed, {wrong} wrong",
            [
                Picture(small(picture, _marked(truth, free, "missed", collected.names)), f"labels: {len(truth)}"),
                Picture(
                    small(picture, _marked(detections, verdict == 0, "wrong", collected.names)),
                    f"found: {len(detections)}",
                ),
            ],
        )


def _marked(found: Detections, which: np.ndarray, word: str, names: list[str]) -> Detections:
    """The same boxes; the names of some begin with a word, and they stand first, so that there is room for it."""
    order = np.argsort(~which, kind="stable")
    kinds = found.class_id + which * len(names)
    every = (*names, *(f"{word} {name}" for name in names))
    return Detections(found.xyxy[order], found.confidence[order], kinds[order], every)


def _cell(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"
