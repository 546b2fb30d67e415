"""Detections of two models on the same pictures, for `qcore compare`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qcore.plugin import Contract, require
from qcore.plugin import counted as plural
from qcore_kit.boxes.detections import Detections
from qcore_kit.classes.numbered import numbered
from qcore_kit.comparison.rung import Cause, Rung
from qcore_kit.reports import Histogram, Pictures, Table, Verdict
from qcore_plugins.tasks.detection import capping
from qcore_plugins.tasks.detection.agreement import BIAS, BOUNDS, LOST, SHIFT
from qcore_plugins.tasks.detection.bootstrap import Matching, difference
from qcore_plugins.tasks.detection.chance import beyond, error
from qcore_plugins.tasks.detection.classes import match_classes
from qcore_plugins.tasks.detection.dataset import Labels, counted, read
from qcore_plugins.tasks.detection.oddities import CAPPED, COUNTED, CROWDED
from qcore_plugins.tasks.detection.pairing import CONFIDENCE, MARGIN, NEAR, Pairing, above, chosen, pair
from qcore_plugins.tasks.detection.tally import packed, unpacked
from qcore_plugins.tasks.detection.worst import Worst

OVERLAPS = (NEAR, 0.75, 0.9)
LABELLED = {".json", ".yaml", ".yml"}
MOVED = 0.1
"""From here on the confidences of partners are worth a look."""
FEW = 10
"""Labelled pictures from which resampling them tells how certain a change is: of one, every sample is the same."""
EDGES = np.linspace(CONFIDENCE, 1, 16)
FINE = np.linspace(0, 1, 101)
FAR_BIAS, FAR_SHIFT = BOUNDS["float"].bias, BOUNDS["float"].shift
"""How far confidences may lie apart where no labels show that it costs nothing."""


class DetectionComparison:
    """Collects detections of a reference and a candidate; of a picture only counts, and the worst few, are kept."""

    steps = ("detections", "accuracy")
    packed = staticmethod(packed)
    unpacked = staticmethod(unpacked)

    def __init__(
        self,
        reference: Contract,
        candidate: Contract,
        data: Any,
        *,
        images: Any = None,
        classes: Mapping[str, str] | None = None,
        max_detections: int = COUNTED,
        max_drop: float = 0.01,
    ) -> None:
        """Begin.

        Args:
            reference: Of the model that is right.
            candidate: Of the other.
            data: COCO json or data.yaml; anything else has no labels.
            images: Folder of the pictures, if not where the data says.
            classes: Class of the models -> class of the data, where the names differ.
            max_detections: Detections of one class in one picture that AP counts.
            max_drop: AP that the candidate may lose even where the loss is beyond the noise.

        Raises:
            FileError: Labelled data that cannot be read.
            UsageError: No class of a model is one of the data; `max_detections` below 1.
        """
        self._max_drop = max_drop
        self.labelled = isinstance(data, (str, Path)) and Path(data).suffix.lower() in LABELLED
        self._most = counted(max_detections)
        self._dataset = read(require(data), images, self._most) if self.labelled else None
        self._sources = list(self._dataset or ())
        self.items: Sequence[Any] = [item.path for item in self._sources]
        names = self._dataset.names if self._dataset else ()
        known = _named(reference.classes, candidate.classes), _named(candidate.classes, reference.classes)
        self._maps = [match_classes(each, names, classes or {}) if self.labelled else {} for each in known]
        self._kept = [
            capping.limits(*(each.under(protocol).postprocess for protocol in (None, *each.protocols)))
            for each in (reference, candidate)
        ]
        self._least = max(CONFIDENCE, float(reference.postprocess.params.get("confidence", CONFIDENCE)))
        self._matched = Matching(self._most), Matching(self._most)
        self._lost = Counter[float]()
        self._gained = Counter[float]()
        self._sure = self._changed = 0
        self._counts, self._found = np.zeros(2, int), np.zeros(len(FINE) - 1, int)
        self._before, self._after = np.zeros(len(EDGES) - 1), np.zeros(len(EDGES) - 1)
        self._shift = self._bias = self._squares = self._largest = 0.0
        self._partners = 0
        self._worst = Worst()

    def add(self, place: int, item: Any, raw: np.ndarray, reference: Detections, candidate: Detections) -> None:
        """One picture."""
        if self._dataset is not None:
            labels = self._dataset.labels(self._sources[place], raw.shape[:2])
            both = zip(self._matched, (reference, candidate), self._maps, self._kept, strict=True)
            for matched, found, mapping, kept in both:
                matched.add(_translated(found, mapping), _known(labels, self._maps[0]))
                capping.tell(self._dataset.oddities, self._sources[place].path, found, labels, kept)
        sure = self._least + MARGIN
        self._counts += np.array([len(above(each, self._least)) for each in (reference, candidate)])
        self._found += np.histogram(candidate.confidence, FINE)[0]
        self._sure += len(above(reference, sure)) + len(above(candidate, sure))
        pairings = {limit: pair(reference, candidate, limit, sure=sure) for limit in OVERLAPS}
        for limit, pairing in pairings.items():
            self._lost[limit] += int(pairing.lost.sum())
            self._gained[limit] += int(pairing.gained.sum())
        near = pairings[NEAR]
        lost, gained = chosen(reference, near.lost), chosen(candidate, near.gained)
        changed = int((pair(lost, gained, NEAR, any_class=True).partner >= 0).sum())
        self._changed += changed
        moved = self._shifted(reference, candidate, near.partner)
        told = f"{len(lost)} lost, {len(gained)} gained, {changed} of another class"
        name = Path(item).name if isinstance(item, (str, Path)) else f"picture {place}"
        heading = f"{name}: {told}, confidences {moved:.2f} apart in all"
        shown = list(zip(("REF", "CANDIDATE"), _apart(reference, candidate, near, self._least), strict=True))
        self._worst.offer(len(lost) + len(gained) + moved, heading, raw, shown)

    def rungs(self) -> Iterator[Rung]:
        """Steps `detections` and `accuracy`."""
        if self._dataset is not None:
            self._dataset.finish()
        accuracy = self._accuracy()
        yield self._detections(
            kept=accuracy.verdict != "fail" and accuracy.figures.get("AP", {}).get("reference", 0) > 0
        )
        yield accuracy

    def _shifted(self, reference: Detections, candidate: Detections, partner: np.ndarray) -> float:
        """Count confidences of partners; the sum of their distances."""
        both = (partner >= 0) & (reference.confidence >= self._least)
        before, after = reference.confidence[both], candidate.confidence[partner[both]]
        self._before += np.histogram(above(reference).confidence, EDGES)[0]
        self._after += np.histogram(above(candidate).confidence, EDGES)[0]
        moved = np.abs(after - before).astype(np.float64)
        self._partners += int(both.sum())
        self._shift += float(moved.sum())
        self._bias += float((after - before).sum())
        self._squares += float((moved * moved).sum())
        self._largest = max(self._largest, float(moved.max(initial=0)))
        return float(moved.sum())

    def _detections(self, *, kept: bool) -> Rung:
        """The step; `kept` is whether labels have shown that the candidate lost no accuracy."""
        sure, partners = max(self._sure, 1), max(self._partners, 1)
        boxes, found = map(int, self._counts)
        alone = self._lost[NEAR] + self._gained[NEAR]
        bias, shift = self._bias / partners, self._shift / partners
        room = error(self._squares, bias, partners, SHIFT)
        causes = []
        if beyond(alone, sure, LOST):
            text = f"{self._lost[NEAR]} boxes lost, {self._gained[NEAR]} gained, of {boxes}"
            causes.append(Cause("boxes lost or gained", text, "see the steps above for where the numbers change"))
        failed = bool(causes)
        numbers = f"above {self._least:g} REF has {plural(boxes, 'box')}, CANDIDATE {found}"
        if abs(bias) - room > BIAS:
            which = "higher" if bias > 0 else "lower"
            text = f"confidences are {abs(bias):.3f} {which} on average; {numbers}"
            causes.append(Cause(f"confidences {which}", text, self._threshold()))
        elif shift - room > SHIFT:
            text = f"confidences are {shift:.3f} apart on average; {numbers}"
            causes.append(Cause("confidences scattered", text))
        far = abs(bias) - room > FAR_BIAS or shift - room > FAR_SHIFT
        failed |= bool(causes) and not kept and (far or beyond(abs(found - boxes), max(boxes, found), LOST))
        verdict: Verdict = "fail" if failed else "note" if causes else "pass"
        if not self._sure:
            verdict = "note"
            text = f"neither finds a box above confidence {self._least:g}, so there was nothing to compare"
            causes.append(Cause("nothing found", text, "give pictures of what the model knows"))
        rows = [
            (f"IoU {limit:g}", self._lost[limit], self._gained[limit], _share(self._lost, self._gained, limit, sure))
            for limit in OVERLAPS
        ]
        figures = {
            "boxes": boxes,
            "candidate_boxes": found,
            "confidence": self._least,
            "lost": {str(limit): self._lost[limit] for limit in OVERLAPS},
            "gained": {str(limit): self._gained[limit] for limit in OVERLAPS},
            "class_changed": self._changed,
            "shift": shift,
            "bias": bias,
            "bias_error": room,
            "largest_shift": self._largest,
            "confidence_edges": EDGES.tolist(),
            "confidences_before": self._before.tolist(),
            "confidences_after": self._after.tolist(),
            "worst": self._worst.captions(),
        }
        counts = {"REF": self._before.tolist(), "CANDIDATE": self._after.tolist()}
        summary = (
            f"{plural(boxes, 'box')}, {alone / sure:.1%} unmatched at IoU {NEAR:g}, {self._changed} with a different "
            f"class, mean confidence difference {shift:.4f} ({bias:+.4f})"
        )
        return Rung(
            "detections",
            verdict,
            summary if self._sure else f"no box above confidence {self._least:g}, which proves nothing",
            tuple(causes),
            f"at most {LOST:.0%} unmatched; confidences within {SHIFT:g}, one way within {BIAS:g}, or equal accuracy; "
            f"without labels, at most {LOST:.0%} more or fewer boxes above {self._least:g}",
            figures,
            [
                Table(("partners at", "lost", "gained", "share"), rows, f"Boxes above confidence {self._least:g}"),
                Histogram(EDGES.tolist(), counts, "confidence", "Confidences"),
                Pictures(self._worst.rows(), "The pictures that differ most, with the boxes that differ"),
            ],
        )

    def _threshold(self) -> str:
        """The hint for a confidence threshold that has moved, with the new one where that can be told."""
        text = "a threshold set for REF does not fit CANDIDATE"
        above_each = self._found[::-1].cumsum()[::-1]
        boxes = int(self._counts[0])
        enough = np.flatnonzero(above_each >= boxes)
        if not boxes or not len(enough):
            return text
        return f"{text}: at {FINE[enough[-1]]:.2f} it has as many boxes as REF at {self._least:g}"

    def _accuracy(self) -> Rung:
        if not self.labelled:
            return Rung("accuracy", "none", "the data has no labels; give a COCO json or a data.yaml with --data")
        one, other = (matched.matches() for matched in self._matched)
        if one.pictures < FEW:
            told = f"{one.pictures} labelled pictures are too few to tell a loss from chance, {FEW} are needed"
            return Rung("accuracy", "none", told)
        rows, figures = [], {}
        for name, loose in (("AP", False), ("AP50", True)):
            change, low, high = difference(one, other, loose=loose)
            both = [each.average_precision(loose=loose) for each in (one, other)]
            rows.append((name, *both, change, low, high))
            figures[name] = {"reference": both[0], "candidate": both[1], "change": change, "low": low, "high": high}
        change, low, high = (figures["AP"][key] for key in ("change", "low", "high"))
        noise = low <= 0 <= high
        verdict: Verdict = "pass" if noise or change > 0 else "note" if change >= -self._max_drop else "fail"
        told = "within the noise of these pictures" if noise else "beyond the noise of these pictures"
        before, after = figures["AP"]["reference"], figures["AP"]["candidate"]
        text = f"AP {after:.4f} instead of {before:.4f}, {told}"
        lost = Cause("AP lost", text)
        if before == 0:
            verdict = "note"
            lost = Cause("REF finds nothing right", "AP of REF is 0: its classes or boxes are not those of the labels")
        odd = self._dataset.oddities if self._dataset else None
        causes = [] if verdict == "pass" else [lost]
        limited = [CAPPED] if odd and odd.has(CAPPED) else []
        limited += [CROWDED] if odd and odd.has(CROWDED) else []
        if odd and limited:
            verdict = "note" if verdict == "pass" else verdict
            causes += [Cause("AP does not count every box", odd.line(kind)) for kind in limited]
        counting = "" if self._most == COUNTED else f", {self._most} detections per class and picture"
        columns = ("figure", "REF", "CANDIDATE", "change", "low", "high")
        return Rung(
            "accuracy",
            verdict,
            f"AP {before:.4f} -> {after:.4f}: {change:+.4f} ({low:+.4f} to {high:+.4f}), {told}{counting}",
            causes,
            f"no loss of AP beyond the noise that is greater than {self._max_drop:g}",
            {
                **figures,
                "pictures": one.pictures,
                "max_detections": self._most,
                "oddities": self._dataset.oddities.document() if self._dataset else {},
            },
            [Table(columns, rows, "Accuracy, with 95 % paired bootstrap intervals of the change over pictures")],
        )


def _named(own: Sequence[str], others: Sequence[str]) -> Sequence[str]:
    """A model's class names; those of the other one where it has as many and its own are numbers."""
    return others if numbered(own) and len(own) == len(others) else own


def _share(lost: Counter[float], gained: Counter[float], limit: float, counted: int) -> str:
    return f"{(lost[limit] + gained[limit]) / counted:.1%}"


def _apart(reference: Detections, candidate: Detections, near: Pairing, least: float) -> tuple[Detections, Detections]:
    """The boxes that tell the two apart: without a partner, or with one of another confidence; all where none is so."""
    both = (near.partner >= 0) & (reference.confidence >= least)
    ours, theirs = near.lost.copy(), near.gained.copy()
    ours[both] |= np.abs(candidate.confidence[near.partner[both]] - reference.confidence[both]) >= MOVED
    theirs[near.partner[ours & both]] = True
    if not ours.any() and not theirs.any():
        return above(reference, least), above(candidate, least)
    return chosen(reference, ours), chosen(candidate, theirs)


def _translated(found: Detections, mapping: Mapping[int, int]) -> Detections:
    """Detections of classes that the data knows, in the data's classes."""
    kept = chosen(found, np.isin(found.class_id, list(mapping)))
    kinds = np.array([mapping[int(index)] for index in kept.class_id], np.int64)
    return Detections(kept.xyxy, kept.confidence, kinds)


def _known(labels: Labels, mapping: Mapping[int, int]) -> Labels:
    kept = np.isin(labels.class_id, list(mapping.values()))
    return labels.chosen(kept)
