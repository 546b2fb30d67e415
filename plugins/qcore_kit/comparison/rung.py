"""One step of the ladder: what was found and whether it passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from qcore_kit.reports import Block, Verdict


@dataclass(frozen=True)
class Cause:
    """Something that explains a difference.

    Attributes:
        name: What it is called, e.g. `NMS in one only`.
        text: What is there, one line.
        hint: What to run or change.
    """

    name: str
    text: str
    hint: str = ""


@dataclass(frozen=True)
class Rung:
    """One step.

    Attributes:
        name: Of the step, e.g. `contract`.
        verdict: `pass`, `fail`, `note` (passed, with something to look at), or `none` (not asked).
        summary: One line: the figure that decided, or why it was not asked.
        causes: Of a failure, the likeliest first; of a note, what to look at.
        threshold: What the figure is held against, in words.
        figures: By name, for `--json`.
        blocks: For the report.
    """

    name: str
    verdict: Verdict
    summary: str
    causes: Sequence[Cause] = ()
    threshold: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    blocks: Sequence[Block] = ()

    def document(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "step": self.name,
            "verdict": self.verdict,
            "summary": self.summary,
            "threshold": self.threshold,
            "causes": [asdict(cause) for cause in self.causes],
            "figures": dict(self.figures),
        }
