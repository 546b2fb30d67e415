"""A report as an HTML page."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from qcore_kit.reports import Block, Picture, Report, Table
from qcore_plugins.tools.report import plots

VERDICTS = {"pass": ("✓", "passed"), "note": ("!", "with remarks"), "fail": ("✕", "failed"), "none": ("i", "")}
"""Sign and word of each verdict; colour alone tells nothing on paper."""
NARROW = 50
"""Letters that half of a wide page holds."""
SENTENCE = 32
"""Letters from which a cell needs room."""
_HERE = Path(__file__).parent
_NUMBER = re.compile(r"[+-]?[\d.,]+(e[+-]?\d+)?( ?(%|x|ms|s|dB|kB|MB|GB))?( ?\[.*\])?")


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table."""

    text: str
    number: bool

    @property
    def style(self) -> str:
        """Class of the cell."""
        return "number" if self.number else "long" if len(self.text) > SENTENCE else ""


class HtmlReporter:
    """Writes the page by a template; everything that comes from a report is escaped."""

    def write(self, report: Report, path: Path) -> None:
        """The page as one file: style, plots and pictures are inside."""
        environment = Environment(
            loader=FileSystemLoader(_HERE),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {
            "kind": _kind,
            "plot": _Plots(),
            "source": _source,
            "cells": _cells,
            "narrow": _narrow,
            "wordy": _wordy,
        }
        template = environment.get_template("page.html.j2")
        style = Markup((_HERE / "style.css").read_text(encoding="utf-8"))  # noqa: S704 - this package's own file
        path.write_text(template.render(report=report, style=style, verdicts=VERDICTS), encoding="utf-8")


class _Plots:
    """Counts the plots of a page, so that names inside of them do not meet."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, block: Any) -> Markup:
        self._count += 1
        return Markup(plots.svg(block, self._count))  # noqa: S704 - matplotlib escapes text


def _kind(block: Block) -> str:
    return type(block).__name__.lower()


def _source(picture: Picture) -> str:
    return f"data:{picture.media};base64,{base64.b64encode(picture.data).decode()}"


def _cells(table: Table) -> list[list[Cell]]:
    """Text of all cells; a column of numbers is set flush right."""
    rows = [[_text(cell) for cell in row] for row in table.rows]
    columns = [[text for text in column if text] for column in zip(*rows, strict=True)]
    numbers = [bool(column) and all(_NUMBER.fullmatch(text) for text in column) for column in columns]
    return [[Cell(text, number) for text, number in zip(row, numbers, strict=True)] for row in rows]


def _narrow(table: Table) -> bool:
    """Whether a plot has room beside it."""
    return all(sum(len(_text(cell)) + 4 for cell in row) < NARROW for row in [table.columns, *table.rows])


def _wordy(table: Table) -> bool:
    """Whether two columns or more hold sentences: on a phone, each row then is a card."""
    long = [any(len(_text(cell)) > SENTENCE for cell in column) for column in zip(*table.rows, strict=True)]
    return any(table.columns) and sum(long) > 1


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
