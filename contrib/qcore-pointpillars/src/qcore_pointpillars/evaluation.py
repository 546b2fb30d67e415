"""The evaluator `boxes-3d`: average precision as KITTI computes it, over 40 recalls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import numpy as np

from qcore.plugin import FileError
from qcore_pointpillars.boxes import overlaps
from qcore_pointpillars.found import Found

OVERLAPS = {"": 0.7, "_50": 0.5}
"""Suffix of a figure -> smallest overlap of a match; .7 is KITTI's for cars, .5 its loose one."""
RECALLS = 40
AGREED = 0.5
"""Overlap in space from which two models mean the same box."""


def read_labels(path):
    """File name -> boxes `[n, 7]`.

    Raises:
        FileError: The file is no such JSON.
    """
    hint = 'labels are JSON: {"000001.bin": [["Car", x, y, z, length, width, height, yaw], ...], ...}'
    try:
        data = json.loads(Path(path).read_text())
        boxes = {
            str(name): np.array([row[1:] for row in rows if row[0] == "Car"], np.float64).reshape(-1, 7)
            for name, rows in data.items()
        }
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror})", hint=hint) from error
    except (ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise FileError(f"{path}: no labels of 3D boxes", hint=hint) from error
    if not boxes or not all(np.isfinite(each).all() for each in boxes.values()):
        raise FileError(f"{path}: no labels of 3D boxes", hint=hint)
    return boxes


def average_precision(scores, right, labelled):
    """Mean over 40 recalls of the best precision at that recall or a higher one; None without labels."""
    if not labelled:
        return None
    order = np.argsort(-np.asarray(scores, float), kind="stable")
    hits = np.cumsum(np.asarray(right, bool)[order])
    precision = hits / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    places = [np.searchsorted(hits, level * labelled / RECALLS - 1e-9) for level in range(1, RECALLS + 1)]
    return float(np.mean([best[place] if place < len(best) else 0.0 for place in places]))


def matched(overlap, limit):
    """Whether each found box, the best first, takes a label that no better one took: `[n]`."""
    free = np.ones(overlap.shape[1], bool)
    right = np.zeros(len(overlap), bool)
    for row, values in enumerate(overlap):
        allowed = np.where(free, values, 0)
        if len(allowed) and allowed.max() >= limit:
            right[row], free[allowed.argmax()] = True, False
    return right


class Tally3D:
    """Scores and matches of each cloud."""

    def __init__(self, folder, labels):
        self.items = [folder / name for name in labels]
        self.boxes = list(labels.values())
        self.absent: tuple[str, ...] = ()
        self._found: dict[int, dict] = {}

    def add(self, place, raw, result):  # noqa: ARG002
        if result is None:
            result = Found(np.zeros((0, 7)), np.zeros(0), ())
        flat, space = overlaps(result.boxes, self.boxes[place])
        right = {
            f"{name}{suffix}": matched(overlap, limit).tolist()
            for name, overlap in (("AP3D", space), ("APBEV", flat))
            for suffix, limit in OVERLAPS.items()
        }
        self._found[place] = {"scores": np.asarray(result.scores, float).tolist(), "right": right}

    def figures(self):
        places = sorted(self._found)
        labelled = sum(len(self.boxes[place]) for place in places)
        scores = [score for place in places for score in self._found[place]["scores"]]
        names = [f"{name}{suffix}" for name in ("AP3D", "APBEV") for suffix in OVERLAPS]
        figures = {
            name: average_precision(
                scores, [hit for place in places for hit in self._found[place]["right"][name]], labelled
            )
            for name in names
        }
        return {**figures, "cars": labelled, "clouds": len(places)}

    def state(self):
        return sorted(self._found.items())

    def merge(self, state):
        for place, found in state:
            if int(place) in self._found or int(place) >= len(self.items):
                raise FileError(f"cloud {place} is in two parts, or not in the labels", hint="merge parts of one run")
            self._found[int(place)] = found


class AveragePrecision3D:
    """AP of 3D boxes; labels are JSON, beside a folder `clouds`."""

    figure = "AP3D"
    faint: ClassVar = {"confidence": 0.05}

    def open(self, contract, data, *, options, progress):  # noqa: ARG002
        labels = read_labels(data)
        return Tally3D(Path(options.get("clouds") or Path(data).parent / "clouds"), labels)

    def agreement(self, pairs, *, contract=None, against="reference"):  # noqa: ARG002
        """How many boxes above .3 of either model the other has too, at an overlap in space of .5."""
        wanted = 0.95 if against == "reference" else 0.85
        same = total = 0
        for pair in pairs:
            _, space = overlaps(pair[0].boxes, pair[1].boxes)
            for side, overlap in enumerate((space, space.T)):
                sure = np.asarray(pair[side].scores) >= 0.3
                total += int(sure.sum())
                same += int((overlap[sure].max(1, initial=0) >= AGREED).sum())
        share = same / total if total else 1.0
        told = f"{share:.1%} of {total} boxes are found by both" if total else "neither finds a box"
        return {"agree": share >= wanted, "same": share, "boxes": total, "enough": total > 0, "summary": told}
