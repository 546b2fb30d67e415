"""A report: what a command found, as plain data that reporters make pages of.

Commands and evaluators build it of these blocks; they say what is shown, a reporter how. `report.json` has everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["pass", "fail", "note", "none"]
"""`note`: passed, with something to look at; `none`: nothing was judged."""


@dataclass(frozen=True)
class Table:
    """Rows under columns; cells are text or numbers, None is left empty.

    Attributes:
        columns: Headings; all empty for a table of names and values.
        rows: Cells.
        title: Over it.
        verdicts: One for each row, where rows are judged.
        folded: Whether a page shows it only when it is opened: long listings.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    title: str = ""
    verdicts: Sequence[Verdict] = ()
    folded: bool = False


@dataclass(frozen=True)
class Bars:
    """One bar for each label.

    Attributes:
        labels: From top to bottom.
        values: Lengths.
        unit: Of the values, e.g. `dB`.
        title: Over it.
        limit: Values below it are marked.
    """

    labels: Sequence[str]
    values: Sequence[float]
    unit: str = ""
    title: str = ""
    limit: float | None = None


@dataclass(frozen=True)
class Curves:
    """Lines over common axes: name -> (x, y)."""

    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    x: str
    y: str
    title: str = ""


@dataclass(frozen=True)
class Histogram:
    """Counts between edges, one more edge than counts: name -> counts."""

    edges: Sequence[float]
    counts: Mapping[str, Sequence[float]]
    x: str
    title: str = ""


@dataclass(frozen=True)
class Ranges:
    """A point with a spread for each label: (low, middle, high).

    Attributes:
        rows: Label -> the three values.
        unit: Of the values.
        title: Over it; says what low and high are.
        mark: A value to compare with, drawn as a line, e.g. 1.0 for ratios.
    """

    rows: Mapping[str, tuple[float, float, float]]
    unit: str = ""
    title: str = ""
    mark: float | None = None


@dataclass(frozen=True)
class Picture:
    """An encoded picture with a line under it; `media` is its type, e.g. `image/jpeg`."""

    data: bytes = field(repr=False)
    caption: str
    media: str = "image/jpeg"


@dataclass(frozen=True)
class Pictures:
    """Rows of pictures to be seen side by side; each row has a heading."""

    rows: Sequence[tuple[str, Sequence[Picture]]]
    title: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph, or text in fixed width such as a command or a contract."""

    text: str
    fixed: bool = False
    title: str = ""
    folded: bool = False


Block = Table | Bars | Curves | Histogram | Ranges | Pictures | Text


@dataclass(frozen=True)
class Section:
    """Blocks under a heading."""

    title: str
    blocks: Sequence[Block]
    text: str = ""


@dataclass(frozen=True)
class Report:
    """What a command found.

    Attributes:
        title: What was done with what, e.g. `compare: yolov5n.pt and yolov5n.xml`.
        verdict: Of the whole.
        summary: The verdict in a sentence or two.
        sections: In the order in which a person wants them.
        document: The same and more, as plain data, for `report.json`; what `--json` prints.
        commands: Every command that made it.
        facts: Name -> text about the files, versions and machine, small print.
    """

    title: str
    verdict: Verdict
    summary: str
    sections: Sequence[Section]
    document: Mapping[str, Any]
    commands: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
