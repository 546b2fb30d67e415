"""`qcore check`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

from qcore.plugin import Host, Output, UsageError
from qcore_kit import commandline
from qcore_kit.checks import Finding, Severity
from qcore_plugins.tools.check.checking import Report, explain
from qcore_plugins.tools.check.checking import check as checked

if TYPE_CHECKING:
    from rich.text import Text

    from qcore.plugin import Host

SHOWN = 3
"""Findings of one rule that are shown; the others are counted."""
STYLES: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def run(options: argparse.Namespace, output: Output, plugins: Host) -> int:
    """Judge the file, or explain a rule; 1 where there is an error."""
    if options.explain:
        text = explain(options.explain, plugins)
        if output.json:
            output.result({"rule": options.explain, "page": text})
        output.say(text.rstrip())
        return 0
    if not options.model:
        raise UsageError("give a file", hint="qcore check --help")
    report = checked(
        options.model,
        options.target,
        plugins=plugins,
        select=_split(options.select),
        ignore=_split(options.ignore),
        cpu=options.cpu,
        data=options.data,
        progress=output.progress,
    )
    if output.json:
        output.result(
            {
                "file": str(report.path),
                "format": report.format,
                "target": report.target,
                "cpu": options.cpu,
                "counts": dict(report.counts),
                "rules": list(report.asked),
                "findings": [asdict(finding) for finding in report.findings],
            }
        )
    else:
        _show(report, output)
    return 1 if report.counts["error"] else 0


def _split(texts: Sequence[str]) -> list[str]:
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _show(report: Report, output: Output) -> None:
    """Findings by severity and rule, errors first, then the count of each."""
    from rich.text import Text

    console = output.console()
    ordered = sorted(report.findings, key=lambda finding: (list(STYLES).index(finding.severity), finding.rule))
    for (severity, rule), findings in groupby(ordered, key=lambda finding: (finding.severity, finding.rule)):
        console.print(Text.assemble((f"{severity} {rule}", STYLES[severity])), soft_wrap=True)
        for line in _lines(list(findings)):
            console.print(line, soft_wrap=True)
    counts = ", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in report.counts.items())
    console.print(Text(f"{report.path} on {report.target}: {counts}"), soft_wrap=True)


def _lines(found: Sequence[Finding]) -> Iterable[Text]:
    from rich.text import Text

    for finding in found[:SHOWN]:
        yield Text(f"  {finding.where}: {finding.message}" if finding.where else f"  {finding.message}")
    if len(found) > SHOWN:
        yield Text(f"  ... and {len(found) - SHOWN} more")
    for name in ("why", "hint"):
        for text in dict.fromkeys(getattr(finding, name) for finding in found):
            if text:
                yield Text(f"    {name}: {text}", style="dim")


class Check:
    """Tells what a runtime will refuse, get wrong or run slowly."""

    example = "qcore check out/yolov5n.onnx --target tensorrt"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:  # noqa: ARG002
        """What it takes."""
        parser.add_argument("model", nargs="?", help="an exported file")
        parser.add_argument(
            "--target",
            metavar="RUNTIME",
            help="runtime to check against, e.g. tensorrt (default: the one that the file was written for)",
        )
        parser.add_argument(
            "--select",
            action="append",
            default=[],
            metavar="IDS",
            help="rules to run, as IDs or ID prefixes, e.g. QDQ,TRT003 (repeatable)",
        )
        parser.add_argument(
            "--ignore",
            action="append",
            default=[],
            metavar="IDS",
            help="rules to skip, as IDs or ID prefixes (repeatable)",
        )
        commandline.add_cpu(parser, "kind of CPU to check for")
        parser.add_argument(
            "--data",
            metavar="DIR",
            help="directory of inputs for computing how far saturating int8 sums change the outputs (8 are read)",
        )
        parser.add_argument("--explain", metavar="ID", help="print the documentation of a rule")

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Judge."""
        return run(options, output, host)
