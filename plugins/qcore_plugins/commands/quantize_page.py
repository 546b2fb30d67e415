"""The report of `qcore quantize`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qcore.plugin import CheckFailed, Contract, counted
from qcore_kit.reports import Bars, Block, Curves, Report, Section, Table, Text, Verdict
from qcore_kit.reports import command as reporting
from qcore_kit.reports.about import about

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
        ranked: Layers as a tuner ranked them; empty without one.
    """

    name: str
    report: Mapping[str, Any]
    contract: Contract
    files: Sequence[Path]
    ranked: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Page:
    """Makes the report of one call."""

    model: Path
    commands: Sequence[str] = ()

    def made(self, written: Sequence[Written], document: Mapping[str, Any]) -> Report:
        """Of files that were written."""
        contracts = {str(one.report["file"]): one.contract for one in written}
        checked = [one for one in written if "parity" in one.report]
        told = [f"{one.name}: {one.report['parity']['summary']}" for one in checked]
        if len(checked) < len(written):
            told.append(f"{len(written) - len(checked)} of {len(written)} files could not be checked")
        told += [_kept(one) for one in written if "budget" in one.report]
        told += [f"{one.name}: not proved: {why}" for one in checked if (why := one.report["parity"].get("unproved"))]
        whole = len(checked) == len(written) and not any(one.report["parity"].get("unproved") for one in checked)
        summary = "Every file passes the parity check. " if whole else ""
        sections = [
            *about(contracts),
            Section("Files", [_files(written)]),
            *([_parity(checked)] if checked else []),
            *(section for one in written for section in _budget(one, len(written) > 1)),
            *_sensitivity(written),
            *([_layers(written)] if any(one.report.get("layers") for one in written) else []),
        ]
        return self._report("pass" if whole else "note", summary + "; ".join(told) + ".", sections, document, contracts)

    def failed(self, error: CheckFailed, contract: Contract) -> Report:
        """Of a check that said no."""
        lines = [Text(error.message), *([Text(error.hint)] if error.hint else [])]
        document = {"error": error.message, "hint": error.hint}
        sections = [*about(contract), Section("What failed", lines)]
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
            title=f"quantize: {self.model}",
            verdict=verdict,
            summary=summary,
            sections=sections,
            document={**document, "contracts": {name: each.to_dict() for name, each in contracts.items()}},
            commands=self.commands,
            facts=reporting.facts(),
        )


def _kept(one: Written) -> str:
    """What the accuracy budget came to."""
    budget = one.report["budget"]
    change = f"{budget['figure']} {budget['reached']:.4f} against {budget['float']:.4f} in float"
    return f"{one.name}: {change}, {counted(len(budget['left_float']), 'layer')} left float"


def _files(written: Sequence[Written]) -> Table:
    rows = [
        (one.name, str(file), f"{file.stat().st_size / 1e6:.2f}") for one in written for file in reversed([*one.files])
    ]
    return Table(("target", "file", "MB"), rows)


def _parity(checked: Sequence[Written]) -> Section:
    """Each file against its reference and against float, its raw outputs, and what the runtime made integers of."""
    rows: list[tuple[Any, ...]] = []
    verdicts: list[Verdict] = []
    blocks: list[Block] = []
    keys = [key for key, value in checked[0].report["parity"].items() if _scalar(key, value)]
    for one in checked:
        for ran in (one.report["parity"], *one.report["parity"].get("also", ())):
            beside = [("quantized network", ran), *([("float model", ran["float"])] if ran.get("float") else [])]
            for name, figures in beside:
                rows.append((one.name, ran["backend"], name, *(figures.get(key) for key in keys)))
                verdicts.append("note" if ran.get("unproved") else "pass" if figures["agree"] else "fail")
            if executed := ran.get("executed"):
                share = f"{executed['integer']} of {executed['layers']} layers with weights run in integers"
                blocks.append(Text(f"{one.name}: {share} on {ran['backend']}."))
            if ran.get("unproved"):
                blocks.append(Text(f"{one.name}: not proved: {ran['unproved']}."))
            blocks += _tensors(one.name, ran)
    columns = ("target", "run on", "against", *(key.replace("_", " ") for key in keys))
    text = "The written file on its runtime, against the quantized network computed by other means, and against float."
    return Section("Parity", [Table(columns, rows, verdicts=verdicts), *blocks], text)


def _scalar(key: str, value: Any) -> bool:
    """Whether a figure is one number, for a cell of the table."""
    return key not in ("agree", "proved", "quantized") and isinstance(value, (int, float))


def _tensors(name: str, ran: Mapping[str, Any]) -> list[Block]:
    """Raw outputs against float."""
    keys = ("cosine", "correlation", "size", "error")
    rows = [(quantity, *(each[key] for key in keys)) for quantity, each in ran.get("tensors", {}).items()]
    columns = ("quantity", "cosine", "correlation", "size", "largest error / span")
    return [Table(columns, rows, f"{name} on {ran['backend']}: raw outputs against float", folded=True)] if rows else []


def _budget(one: Written, several: bool) -> list[Section]:
    """The search of `--max-drop`, with what every number of float layers gave."""
    budget = one.report.get("budget")
    if not budget:
        return []
    figure, whole, left = budget["figure"], budget["float"], budget["left_float"]
    trials = budget["trials"]
    ends = [min(trials), max(trials)]
    rows = [(count, f"{value:.4f}", f"{value - whole:+.4f}") for count, value in trials.items()]
    named = {"float": whole, "int8 throughout": budget["int8"], "as written": budget["reached"]}
    lines = {"quantized": ([*trials], [*trials.values()]), "float": (ends, [whole, whole])}
    blocks: list[Block] = [
        Table(
            ("", figure, "against float"),
            [
                (name, f"{value:.4f}", f"{value - whole:+.4f}" if value != whole else "")
                for name, value in named.items()
            ],
        ),
        *([Curves(lines, "layers left float", figure, "Trials")] if len(trials) > 1 else []),
        Table(("layers float", figure, "against float"), rows, "Trials, as a table", folded=True),
        *([Text("\n".join(left), fixed=True, title=f"Left float: {len(left)}", folded=True)] if left else []),
    ]
    return [Section(f"Accuracy budget: {one.name}" if several else "Accuracy budget", blocks, f"On {budget['data']}.")]


def _sensitivity(written: Sequence[Written]) -> list[Section]:
    """Bars of the first figure that the analyzer gives, and all of its table; the ranking is of the float model."""
    one = next((one for one in written if one.ranked), None)
    if one is None:
        return []
    columns = list(one.ranked[0])
    key = next((key for key in columns if isinstance(one.ranked[0][key], float)), None)
    cells = [[row[column] for column in columns] for row in one.ranked]
    blocks: list[Block] = [Table([_words(column) for column in columns], cells, "All layers", folded=True)]
    if key is not None:
        values = [float(row[key]) for row in one.ranked]
        left = len(one.report["budget"]["left_float"]) if len(written) == 1 else 0
        line = values[left] if 0 < left < len(values) and values == sorted(values) else None
        title = "The most sensitive layers" + (", below the line those left float" if line is not None else "")
        labels = [str(row["layer"]) for row in one.ranked[:WORST]]
        blocks.insert(0, Bars(labels, values[:WORST], _words(key), title, line))
    return [Section("Sensitivity", blocks, "The layers in the order in which the budget leaves them float.")]


def _words(column: str) -> str:
    return column.replace("_db", " dB").replace("_", " ")


def _layers(written: Sequence[Written]) -> Section:
    """The rows of `--explain`."""
    tables = []
    for one in written:
        if rows := one.report.get("layers"):
            columns = list(rows[0])
            cells = [[row[column] for column in columns] for row in rows]
            tables.append(Table(columns, cells, f"{one.name}: {len(rows)} layers, and why", folded=True))
    return Section("Quantization decisions by layer", tables)
