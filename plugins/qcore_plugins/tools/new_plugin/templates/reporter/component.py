"""The reporter `mynet`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qcore_kit.reports import Report, Table, Text


class Mynet:
    """Writes what can be written in plain text; pictures and curves are left out."""

    def write(self, report: Report, path: Path) -> None:
        """One file; names come from files and are not to be trusted."""
        lines = [f"# {plain(report.title)}", "", f"**{report.verdict}**: {plain(report.summary)}", ""]
        for section in report.sections:
            lines += [f"## {plain(section.title)}", ""]
            for block in section.blocks:
                lines += text_of(block)
        path.write_text("\n".join(lines), encoding="utf-8")


def text_of(block: Any) -> list[str]:
    """A block as lines."""
    if isinstance(block, Table):
        rows = [block.columns, ["---"] * len(block.columns), *block.rows]
        return [f"| {' | '.join(plain(cell) for cell in row)} |" for row in rows] + [""]
    return [plain(block.text), ""] if isinstance(block, Text) else []


def plain(value: Any) -> str:
    """A value as text without markup."""
    text = "" if value is None else str(value)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("\n", " ")
