"""`qcore benchmark`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qcore.plugin import Contract, Host, Output, UsageError, counted
from qcore_kit import machine
from qcore_kit import reports as page
from qcore_kit.folders import require_source
from qcore_kit.reports import command as reporting
from qcore_kit.reports.about import about, inside
from qcore_plugins.tools.benchmark import measuring as benchmarking
from qcore_plugins.tools.benchmark.measuring import Measured, Report

STAGES = ("preprocess", "inference", "postprocess", "end to end")
LEGEND = (
    "Times are milliseconds per call: median [10th, 90th percentile]. inputs/s: in inference alone; "
    "memory: peak of the process."
)
JUDGED = ("inference", "end to end")
"""Of these, ratios are told."""


def run(options: argparse.Namespace, output: Output, plugins: Host) -> int:
    """Measure, and tell what can be concluded."""
    if options.requests is not None and options.mode != "throughput":
        raise UsageError("--requests needs --mode throughput", hint="latency is that of one call after another")
    for name in ("requests", "threads", "limit"):
        if (given := getattr(options, name)) is not None and given < 1:
            raise UsageError(f"--{name} {given} is not a positive number")
    requests = (options.requests or machine.cores()) if options.mode == "throughput" else None
    if options.data:
        require_source(options.data, "--data")
    observers = reporting.begun(options, plugins)
    report = benchmarking.benchmark(
        options.files,
        backends=options.backend,
        options=wishes(options.precision, options.threads, requests),
        data=options.data,
        limit=options.limit,
        requests=requests,
        rounds=options.rounds,
        launches=options.launches,
        seed=options.seed,
        entry_points=not options.no_plugins,
        track=lambda rounds: output.progress.track(rounds, "rounds", len(rounds)),
    )
    if output.json:
        output.result(report.document())
    else:
        _show(report, output)
    if observers:
        contracts = inside(dict.fromkeys(one.file for one in report.files), plugins)
        observers.tell(_page(report, contracts, observers.commands(contracts)), output)
    return 0


def wishes(precision: str, threads: int | None, requests: int | None) -> dict[str, Any]:
    """What every backend that has such an option is asked for; several sessions share the cores."""
    share = max(1, machine.cores() // requests) if requests else None
    threads = threads or share
    return {"precision": precision} | ({"threads": threads} if threads else {})


def _show(report: Report, output: Output) -> None:
    output.say(f"{_machine(report)}; {_how(report)}")
    columns, rows = _table(report)
    output.table("", [column.upper() for column in columns], rows)
    output.say(LEGEND)
    for line in _conclusions(report):
        output.say(line)
    for line in _remarks(report):
        output.note(line)


def _page(report: Report, contracts: Mapping[str, Contract], commands: Sequence[str]) -> page.Report:
    """The measurement as a report."""
    remarks = [*_remarks(report)]
    noisy = any(ratio.noise for one in report.files for ratio in one.ratios.values())
    latency: list[page.Block] = [
        *_ranges(report),
        page.Table(*_table(report)),
        page.Text(LEGEND),
        *(page.Text(line) for line in remarks),
    ]
    return page.Report(
        title=f"benchmark: {', '.join(dict.fromkeys(one.file for one in report.files))}",
        verdict="note" if noisy or remarks else "none",
        summary="; ".join(_conclusions(report, [one.file for one in report.files])) or _alone(report.files[0]),
        sections=[*about(contracts), page.Section("Latency", latency, f"{_machine(report)}; {_how(report)}.")],
        document=report.document(),
        commands=commands,
        facts=reporting.facts(),
    )


def _ranges(report: Report) -> Iterator[page.Ranges]:
    """Ratios, then times, a plot for each stage."""
    stages = [stage for stage in STAGES if stage in report.files[0].stages]
    named = [(f"{place}  {one.file}", one) for place, one in enumerate(report.files, start=1)]
    for stage in JUDGED:
        ratios = {name: one.ratios[stage] for name, one in named if stage in one.ratios}
        if not ratios:
            continue
        rows = {name: (ratio.low, ratio.ratio, ratio.high) for name, ratio in ratios.items()}
        yield page.Ranges(rows, "times as fast as the first file", f"{stage}: ratio and its 95 % interval", mark=1.0)
    for stage in stages:
        spreads = {name: one.stages[stage] for name, one in named if stage in one.stages}
        times = {name: (spread.p10, spread.median, spread.p90) for name, spread in spreads.items()}
        yield page.Ranges(times, "ms", f"{stage}: median, 10th to 90th percentile")


def _alone(one: Measured) -> str:
    spread = one.stages["inference"]
    return (
        f"inference {spread.median:.2f} ms [{spread.p10:.2f}, {spread.p90:.2f}], {one.per_second:.1f} inputs per second"
    )


def _conclusions(report: Report, names: Sequence[str] = ()) -> Iterator[str]:
    """What the ratios say; files go by their place, or by these names."""
    names = names or [f"file {place}" for place in range(1, len(report.files) + 1)]
    for name, one in zip(names[1:], report.files[1:], strict=True):
        for stage in JUDGED:
            if stage in one.ratios:
                yield f"{name}, {stage}: {_verdict(one, stage, names[0])}"


def _machine(report: Report) -> str:
    facts = report.machine
    flags = ", ".join(facts["flags"] or []) or "none of the int8 flags"
    gpus = "".join(f", {gpu['name']}" for gpu in facts["gpus"])
    load = f", load {facts['load_before']}" if facts["load_before"] is not None else ""
    return f"{facts['model']} ({flags}), {facts['cores']} cores{gpus}{load}"


def _how(report: Report) -> str:
    settings = report.settings
    of = f"{settings['requests']} sessions at once" if settings["requests"] else "one call after another"
    rounds = f"{counted(settings['rounds'], 'round')} in {counted(settings['launches'], 'launch')}"
    versions = dict(pair for one in report.files for pair in one.facts["versions"].items())
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{settings['mode']}, {of}, {rounds}; {packages}"


def _table(report: Report) -> tuple[list[str], list[list[str]]]:
    shown = [stage for stage in STAGES if stage in report.files[0].stages]
    timing = [f"{stage} ms" for stage in shown]
    columns = [
        "",
        "file",
        "backend",
        "precision",
        "threads",
        "batch",
        *timing,
        "inputs/s",
        "file MB",
        "load s",
        "memory MB",
    ]
    return columns, list(_rows(report, shown))


def _rows(report: Report, shown: list[str]) -> Iterator[list[str]]:
    for place, one in enumerate(report.files, start=1):
        facts = one.facts
        spreads = [one.stages[stage] for stage in shown]
        peak = facts["peak_bytes"]
        yield [
            str(place),
            one.file,
            facts["backend"],
            facts["executed_precision"],
            str(facts["threads"] or "default"),
            str(facts["batch"]),
            *(f"{spread.median:.2f} [{spread.p10:.2f}, {spread.p90:.2f}]" for spread in spreads),
            f"{one.per_second:.1f}",
            f"{facts['bytes'] / 1e6:.2f}",
            f"{facts['load_seconds']:.2f}",
            "" if peak is None else f"{peak / 1e6:.0f}",
        ]


def _verdict(one: Measured, stage: str, first: str) -> str:
    ratio = one.ratios[stage]
    figure = f"{ratio.ratio:.2f} times as fast as {first} (95 % interval {ratio.low:.2f} to {ratio.high:.2f})"
    if ratio.verdict == "too noisy":
        return f"{figure}, too noisy to conclude: {ratio.noise}; try more --rounds, or a quieter machine"
    return f"{figure}, {ratio.verdict}"


def _remarks(report: Report) -> Iterator[str]:
    for place, one in enumerate(report.files, start=1):
        if one.lowered:
            yield (
                f"{place}: {one.facts['backend']} ran this float32 file in {one.lowered}, so its results differ from "
                "float32; pass --precision f32 to prevent that"
            )
    if report.settings["data"] is None and "postprocess" in report.files[0].stages:
        yield (
            "the input is synthetic and yields almost no results, so postprocessing looks too fast; "
            "pass real inputs with --data DIR"
        )


class Benchmark:
    """Times files side by side."""

    example = "qcore benchmark float/yolov5n.xml int8/yolov5n.xml --data images/"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:
        """What it takes."""
        parser.add_argument(
            "files", nargs="+", metavar="FILE", help="model files; the others are compared with the first"
        )
        parser.add_argument(
            "--backend",
            action="append",
            default=[],
            metavar="B",
            help="backend to run on: one for all files, or one per file in order",
        )
        parser.add_argument(
            "--mode",
            choices=("latency", "throughput"),
            default="latency",
            help="one call after another, or several at once",
        )
        parser.add_argument(
            "--requests",
            type=int,
            metavar="N",
            help="concurrent sessions in throughput mode (default: number of cores)",
        )
        parser.add_argument(
            "--data", metavar="DIR", help="inputs, read before timing starts (default: one synthetic input)"
        )
        parser.add_argument("--limit", type=int, default=16, metavar="N", help="use at most N inputs (default: 16)")
        parser.add_argument(
            "--precision",
            choices=("f32", "auto"),
            default="f32",
            help="precision of the non-quantized part: f32, or auto to let the runtime choose (default: f32)",
        )
        parser.add_argument(
            "--threads", type=int, metavar="N", help="threads per session, if the backend has such an option"
        )
        parser.add_argument(
            "--rounds",
            type=int,
            default=30,
            metavar="N",
            help="measured rounds per file, over all launches (default: 30)",
        )
        parser.add_argument(
            "--launches", type=int, default=5, metavar="N", help="process launches that share the rounds (default: 5)"
        )
        parser.add_argument(
            "--seed",
            type=int,
            default=0,
            metavar="S",
            help="random seed for the order of files, the choice of inputs and the bootstrap (default: 0)",
        )
        reporting.add_observers(parser, host)

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Measure."""
        return run(options, output, host)
