"""The report of `qcore quantize`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore.cli import reporting
from qcore.cli.about import about
from qcore.contract import Contract
from qcore.errors import CheckFailed
from qcore.report import Bars, Block, Report, Section, Table, Text

if TYPE_CHECKING:
    from qcore.pipelines import Pipeline

WORST = 24
"""Layers that are drawn; the table has all."""


@dataclass(frozen=True)
class Written:
    """One target's file.

    Attributes:
        name: Of the target.
        report: What is printed of it.
        contract: Inside.
        files: All that belong to it, the main file last.
        ranked: Layers as an accuracy budget ranked them; empty without one.
    """

    name: str
    report: Mapping[str, Any]
    contract: Contract
    files: Sequence[Path]
    ranked: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Page:
    """Makes the report of one call."""

    options: argparse.Namespace
    pipeline: Pipeline

    def made(self, written: Sequence[Written], document: Mapping[str, Any]) -> Report:
        """Of files that were written."""
        contracts = {str(one.report["file"]): one.contract for one in written}
        checked = [one for one in written if "parity" in one.report]
        told = [f"{one.name}: {one.report['parity']['summary']}" for one in checked]
        if len(checked) < len(written):
            told.append(f"{len(written) - len(checked)} of {len(written)} files could not be checked")
        whole = len(checked) == len(written)
        summary = "Every file gives what the quantized network gives. " if whole else ""
        sections = [
            *about(contracts),
            Section("Files", [_files(written)]),
            *([_parity(checked)] if checked else []),
            *(section for one in written for section in _budget(one, len(written) > 1)),
            *([_layers(written)] if any(one.report.get("layers") for one in written) else []),
        ]
        return self._report("pass" if whole else "note", summary + "; ".join(told) + ".", sections, document, contracts)

    def failed(self, error: CheckFailed, done: Pipeline) -> Report:
        """Of a check that said no."""
        assert done.loaded is not None  # noqa: S101 - it has just been quantized
        contract = done.loaded.contract
        said = [Text(error.message), *([Text(error.hint)] if error.hint else [])]
        document = {"error": error.message, "hint": error.hint}
        sections = [*about(contract), Section("What failed", said)]
        return self._report("fail", error.message, sections, document, {})

    def _report(
        self,
        verdict: Any,
        summary: str,
        sections: Sequence[Section],
        document: Mapping[str, Any],
        contracts: Mapping[str, Contract],
    ) -> Report:
        return Report(
            title=f"quantize: {self.pipeline.weights}",
            verdict=verdict,
            summary=summary,
            sections=sections,
            document={**document, "contracts": {name: each.to_dict() for name, each in contracts.items()}},
            commands=reporting.commands(self.options, {}),
            facts=reporting.facts(),
        )


def _files(written: Sequence[Written]) -> Table:
    rows = [
        (one.name, str(file), f"{file.stat().st_size / 1e6:.2f}") for one in written for file in reversed([*one.files])
    ]
    return Table(("target", "file", "MB"), rows)


def _parity(checked: Sequence[Written]) -> Section:
    found = [one.report["parity"] for one in checked]
    keys = [key for key in found[0] if key not in ("agree", "summary", "backend")]
    rows = [
        (one.name, one.report["parity"]["backend"], *(one.report["parity"].get(key) for key in keys)) for one in checked
    ]
    columns = ("target", "run on", *(key.replace("_", " ") for key in keys))
    verdicts = tuple("pass" if one["agree"] else "fail" for one in found)
    text = "The written file on its runtime against the quantized network, computed by other means on the same inputs."
    return Section("Parity", [Table(columns, rows, verdicts=verdicts)], text)  # type: ignore[arg-type]


def _budget(one: Written, several: bool) -> list[Section]:
    """The search of `--max-drop`, with what every number of float layers gave, and the layers it went by."""
    found = one.report.get("budget")
    if not found:
        return []
    figure, left = found["figure"], found["left_float"]
    rows = [(count, f"{value:.4f}", f"{value - found['float']:+.4f}") for count, value in found["trials"].items()]
    blocks: list[Block] = [
        Table(
            ("", figure, "against float"),
            [
                ("float", f"{found['float']:.4f}", ""),
                ("int8 throughout", f"{found['int8']:.4f}", f"{found['int8'] - found['float']:+.4f}"),
                ("as written", f"{found['reached']:.4f}", f"{found['reached'] - found['float']:+.4f}"),
            ],
        ),
        Table(("layers float", figure, "against float"), rows, "What was tried"),
        *_sensitivity(one.ranked, len(left)),
        Table(("layer",), [(layer,) for layer in left], f"The {len(left)} layers left float", folded=True),
    ]
    name = f"Accuracy budget: {one.name}" if several else "Accuracy budget"
    return [Section(name, blocks if left else blocks[:-1], f"Decided on {found['data']}.")]


def _sensitivity(ranked: Sequence[Mapping[str, Any]], left: int) -> list[Block]:
    """Bars of the first figure that the analyzer gives, and all of its table."""
    if not ranked:
        return []
    columns = list(ranked[0])
    key = next((key for key in columns if isinstance(ranked[0][key], float)), None)
    table = Table(
        tuple(column.replace("_", " ") for column in columns),
        [[row[column] for column in columns] for row in ranked],
        "All layers, the most sensitive first",
        folded=True,
    )
    if key is None:
        return [table]
    values = [float(row[key]) for row in ranked]
    rising = values == sorted(values)
    limit = values[left] if rising and 0 < left < len(values) else None
    title = "The most sensitive layers" + (", below the line those left float" if limit is not None else "")
    labels = [str(row["layer"]) for row in ranked[:WORST]]
    return [Bars(labels, values[:WORST], key.replace("_", " "), title, limit), table]


def _layers(written: Sequence[Written]) -> Section:
    """The rows of `--explain`."""
    tables = []
    for one in written:
        if rows := one.report.get("layers"):
            columns = list(rows[0])
            cells = [[row[column] for column in columns] for row in rows]
            tables.append(Table(columns, cells, f"{one.name}: {len(rows)} layers, and why", folded=True))
    return Section("What was decided for each layer", tables)
