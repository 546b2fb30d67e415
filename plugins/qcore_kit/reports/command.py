"""`--report DIR`: a command's findings as a page, as data, and as text on the terminal."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import qcore
from qcore.plugin import Contract, Output, counted
from qcore_kit import machine
from qcore_kit.commandline import add_report
from qcore_kit.reports import Bars, Block, Pictures, Ranges, Report, Table, Text
from qcore_kit.reports import writing as reporting

__all__ = ["add_report", "commands", "facts", "keep", "ready", "show"]

SIGNS = {"pass": "ok", "note": "note", "fail": "FAIL", "none": ""}
"""What stands before a row or a line that was judged."""
BARS, WIDTH = 12, 30
"""Bars that are shown, and the columns that the longest takes."""


def ready(options: argparse.Namespace, plugins: qcore.Host) -> bool:
    """Whether a report is wanted; called before the long work, so that it does not end in an error.

    Raises:
        QcoreError: As `qcore_kit.reports.writing.ready`.
    """
    if options.report is None:
        return False
    reporting.ready(options.report, plugins)
    return True


def keep(report: Report, options: argparse.Namespace, output: Output, plugins: qcore.Host) -> None:
    """Write the report where `--report` says, and tell where it is."""
    files = reporting.write(report, options.report, plugins)
    output.note(f"report: {', '.join(map(str, files))}")


def commands(options: argparse.Namespace, contracts: Mapping[str, Contract]) -> list[str]:
    """The command line as it was typed, and for each quantized file the one that its contract tells of."""
    told = ((name, contract.provenance) for name, contract in contracts.items())
    return [
        shlex.join(["qcore", *options.argv]),
        *(_quantize(name, said) for name, said in told if "quantization" in said),
    ]


def facts() -> dict[str, str]:
    """Small print of every report: when, with what, on which machine."""
    cpu = machine.cpu()
    flags = f" ({', '.join(cpu['flags'])})" if cpu["flags"] else ""
    gpus = ", ".join(gpu["name"] for gpu in machine.gpus())
    return {
        "written": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "qcore": qcore.__version__,
        "cpu": f"{cpu['model']}{flags}, {cpu['cores']} cores",
        **({"gpu": gpus} if gpus else {}),
    }


def show(report: Report, output: Output) -> None:
    """The report on the terminal: figures as text, folded listings, curves and pictures left to the page."""
    if output.json:
        return
    sign = SIGNS[report.verdict]
    output.say(f"{sign}: {report.summary}" if sign else report.summary)
    for section in report.sections:
        lines = [block for block in section.blocks if _shown(block)]
        if not lines:
            continue
        output.say(f"\n{section.title}")
        if section.text:
            output.say(section.text)
        for block in lines:
            _print(block, output)


def _shown(block: Block) -> bool:
    return isinstance(block, Table | Bars | Ranges | Pictures | Text) and not getattr(block, "folded", False)


def _print(block: Block, output: Output) -> None:
    if isinstance(block, Table):
        judged = bool(block.verdicts)
        rows = [[_cell(cell) for cell in row] for row in block.rows]
        if judged:
            rows = [[SIGNS[verdict], *row] for verdict, row in zip(block.verdicts, rows, strict=True)]
        heads = [column.upper() for column in block.columns]
        output.table(block.title, ["", *heads] if judged else heads, rows)
    elif isinstance(block, Bars):
        output.table(block.title, ("", "", block.unit), list(_bars(block)))
    elif isinstance(block, Ranges):
        spreads = [
            (label, _cell(mid), f"[{_cell(low)}, {_cell(high)}]") for label, (low, mid, high) in block.rows.items()
        ]
        output.table(block.title, ("", block.unit, ""), spreads)
    elif isinstance(block, Pictures):
        for heading, pictures in block.rows:
            output.say(f"{heading} ({', '.join(picture.caption for picture in pictures)})")
    elif isinstance(block, Text):
        output.say(block.text)


def _bars(block: Bars) -> Iterator[tuple[str, str, str]]:
    longest = max((abs(value) for value in block.values), default=0) or 1
    for label, value in list(zip(block.labels, block.values, strict=True))[:BARS]:
        mark = "" if block.limit is None or value >= block.limit else " !"
        yield label, "█" * max(1, round(WIDTH * abs(value) / longest)), f"{_cell(value)}{mark}"
    if (more := len(block.labels) - BARS) > 0:
        yield f"and {more} more", "", ""


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _quantize(name: str, provenance: Mapping[str, Any]) -> str:
    said, calibration = provenance["quantization"], provenance.get("calibration", {})
    source = provenance.get("source", {}).get("file", "MODEL")
    words = ["qcore", "quantize", str(source), "--quantizer", str(said.get("quantizer", "")), "--calib", "DIR"]
    if profile := said.get("profile"):
        words += ["--target", str(profile)]
    recipe = dict(said.get("recipe", {}))
    if left := said.get("left_float"):
        recipe["exclude"] = [*dict.fromkeys([*recipe.get("exclude", ()), *left])]
    for key, value in recipe.items():
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        words += ["-q", f"{key}={text}"] if value not in (None, [], (), "", {}) else []
    count, digest = calibration.get("pictures", "?"), str(calibration.get("sha256", ""))[:12]
    return f"{shlex.join(words)}  # {name}, as its contract tells; DIR: {counted(count, 'input')}, sha256 {digest}"
