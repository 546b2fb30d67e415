"""Writing reports: `report.json` with everything in it, and a file of each installed reporter."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qcore.plugin import FileError, Host, UsageError, only, plain, publish
from qcore_kit.folders import writable
from qcore_kit.kinds import ReporterSpec
from qcore_kit.reports import Report

NAME = "report"
DATA = f"{NAME}.json"
VERSION = "1.0"


def ready(directory: str | os.PathLike[str], plugins: Host) -> None:
    """Make sure that `write` will be able to, before long work begins.

    Raises:
        UsageError: No reporter is installed, or two would write the same file.
        MissingDependency: A reporter's package is not installed.
        FileError: The directory cannot be written to, or holds other files of these names.
    """
    for spec in _reporters(plugins):
        spec.load()
    folder = writable(directory)
    names = [DATA, *(f"{NAME}{spec.suffix}" for spec in _reporters(plugins))]
    there = [folder / name for name in names if (folder / name).exists()]
    if there and not _ours(folder / DATA):
        raise FileError(f"{there[0]}: already exists and is not a qcore report", hint="choose another folder")


def write(report: Report, directory: str | os.PathLike[str], plugins: Host) -> list[Path]:
    """Write a report.

    Args:
        report: What was found.
        directory: Where the files go; an earlier report there is replaced.
        plugins: Where reporters come from.

    Returns:
        The files, `report.json` last.

    Raises:
        UsageError, MissingDependency, FileError: As in `ready`.
    """
    ready(directory, plugins)

    def make(folder: Path) -> Sequence[Path]:
        files = []
        for spec in _reporters(plugins):
            files.append(folder / f"{NAME}{spec.suffix}")
            spec.create().write(report, files[-1])
        text = json.dumps(document(report), indent=1, ensure_ascii=False)
        (folder / DATA).write_text(text + "\n", encoding="utf-8")
        return [*files, folder / DATA]

    return publish(Path(directory), make)


def document(report: Report) -> dict[str, Any]:
    """All of a report as JSON-able data: `result` is what the command's `--json` prints, `sections` what a page shows.

    Blocks carry their kind as `block`; pictures are base64; numbers that JSON has no word for (NaN) are null.
    """
    fields: dict[str, Any] = {
        "report": VERSION,
        "title": report.title,
        "verdict": report.verdict,
        "summary": report.summary,
        "commands": list(report.commands),
        "facts": plain(report.facts),
        "result": plain(report.document),
        "sections": plain(report.sections),
    }
    return fields


def _reporters(plugins: Host) -> list[ReporterSpec]:
    """One for each suffix; where several write the same file, qcore's own does."""
    every = plugins.specs(ReporterSpec)
    if not every:
        raise UsageError("no plugin draws reports", hint="qcore list-plugins --kind reporter")
    suffixes = dict.fromkeys(spec.suffix for spec in every)
    chosen = [
        only([spec for spec in every if spec.suffix == suffix], what="write the same file") for suffix in suffixes
    ]
    return [spec for spec in chosen if spec is not None]


def _ours(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "report" in content and "sections" in content
