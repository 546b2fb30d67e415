"""`qcore eval`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qcore.plugin import DEPLOYED, Contract, Evaluation, FileError, Host, Judge, Output, UsageError, counted, require
from qcore_kit import commandline, parts
from qcore_kit.abilities import HasAbsent
from qcore_kit.describing import figures as rows
from qcore_kit.kinds import ObserverSpec
from qcore_kit.reports import Report, Section, Table
from qcore_kit.reports import command as reporting
from qcore_kit.reports.about import about
from qcore_plugins.commands import partial

if TYPE_CHECKING:
    from qcore.plugin import Run

STEPS = ("preprocess", "postprocess")


def evaluate(options: argparse.Namespace, output: Output, run: Run) -> int:
    """Measure once, then print or report."""
    share = _share(options)
    commandline.require_positive(options, "limit")
    require(options.data)
    observers = reporting.begun(options, run.host)
    judge = Judge(run.host, options.data, commandline.labels(options), output.progress, options.strict)
    run = run.vary(run.recipe.with_protocol(judge.protocol(run.contract(), options.protocol)))
    if share:
        place, count = share
        written = partial.evaluated(run, judge, place, count, options.out, options.limit)
        output.say(f"{options.out}: part {place} of {count}, {counted(written, 'input')}")
        output.result({"file": options.out, "part": place, "of": count, "inputs": written}) if output.json else None
        return 0
    evaluation = (
        partial.merged(run, judge, options.merge, bool(observers), options.limit)
        if options.merge
        else _measured(run, judge, options.limit, sections=bool(observers))
    )
    contract = evaluation.contract
    document = {
        **evaluation.figures,
        **_sizes(contract),
        "backend": evaluation.backend,
        "executed_precision": evaluation.executed_precision,
        "protocol": evaluation.protocol or DEPLOYED,
        "preprocess": dict(contract.preprocess.params),
        "postprocess": dict(contract.postprocess.params),
        "file": options.model,
        "data": options.data,
        **({"limit": options.limit} if options.limit else {}),
    }
    if output.json:
        output.result(document)
    else:
        output.table("", ("", ""), rows(document))
    if skipped := evaluation.figures.get("skipped"):
        output.warn(f"{counted(len(skipped), 'input')} skipped")
    if observers:
        commands = observers.commands({options.model: run.contract()})
        observers.tell(_page(options.model, document, evaluation, run.contract(), commands), output)
    return 0


def _measured(run: Run, judge: Judge, limit: int | None, *, sections: bool) -> Evaluation:
    """The evaluation of all inputs, or of the first ones."""
    predictor = run.predictor()
    tally = judge.open(predictor.contract)
    if judge.strict and isinstance(tally, HasAbsent) and tally.absent:
        raise FileError(f"{tally.absent[0]}: no such file", hint="omit --strict to evaluate without it")
    judge.fill(tally, predictor, range(len(tally.items))[:limit])
    ran = predictor.backend, predictor.executed_precision, run.recipe.protocol
    return judge.conclusion(tally, predictor.contract, *ran, predictor.preprocessor.read if sections else None)


def _share(options: argparse.Namespace) -> tuple[int, int] | None:
    """Which part of how many; None for all.

    Raises:
        UsageError: It is no such thing, or -o and --report do not go with it.
    """
    if not options.part:
        if options.out:
            raise UsageError("-o goes with --part K/N", hint="--report DIR writes a page of the whole")
        return None
    if not options.out:
        raise UsageError("--part needs -o FILE: where its results go")
    if commandline.given(options, ObserverSpec):
        raise UsageError("--part has no figures to report", hint="give --report with --merge")
    return parts.share(options.part)


def _sizes(contract: Contract) -> dict[str, Any]:
    """Height and width where there is one input that has those, else the shapes of all."""
    if len(contract.inputs) == 1 and len(contract.inputs[0].shape) == 4:
        return {"imgsz": list(contract.inputs[0].sizes("HW"))}
    return {"inputs": {tensor.name: list(tensor.shape) for tensor in contract.inputs}}


def _page(model: str, said: dict[str, Any], found: Evaluation, contract: Contract, commands: Sequence[str]) -> Report:
    told = ("imgsz", "backend", "executed_precision", "protocol", "data")
    run_on = [(key.replace("_", " "), value) for key, value in rows(said) if key in told]
    run_on += [(key, ", ".join(f"{name}={value}" for name, value in said[key].items())) for key in STEPS]
    skipped = len(said.get("skipped", ()))
    left_out = f"; {skipped} inputs could not be read and are left out" if skipped else ""
    name = found.name or ""
    main = f"{name} {said[name]:.4f} " if isinstance(said.get(name), float) else ""
    return Report(
        title=f"eval: {model}",
        verdict="note" if skipped else "none",
        summary=f"{main}on {said['data']}, {said['executed_precision']} on {said['backend']}, "
        f"protocol {said['protocol']}{left_out}.",
        sections=[
            *about(contract),
            Section("Run", [Table(("", ""), run_on)]),
            *(found.sections or [Section("Accuracy", [Table(("", ""), rows(said))])]),
        ],
        document=said,
        commands=commands,
        facts=reporting.facts(),
    )


class Evaluate:
    """Measures a model on labelled data."""

    example = "qcore eval out/yolov5n.xml --data instances.json --json"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:
        """What it takes."""
        commandline.add_model(parser)
        parser.add_argument(
            "--data", required=True, metavar="FILE", help="labelled data, e.g. a COCO JSON or a data.yaml"
        )
        commandline.add_labels(parser, host)
        commandline.add_protocol(parser, "the first one, the way the family is measured")
        commandline.add_limit(parser)
        commandline.add_strict(parser)
        shared = parser.add_mutually_exclusive_group()
        shared.add_argument(
            "--part",
            metavar="K/N",
            help="evaluate only the K-th of N parts of the data and write its results to -o FILE",
        )
        shared.add_argument(
            "--merge", nargs="+", metavar="FILE", help="compute the metrics from the files of all parts; runs nothing"
        )
        parser.add_argument("-o", "--out", metavar="FILE", help="file for the results of --part")
        commandline.add_runtime(parser)
        reporting.add_observers(parser, host)
        commandline.add_conversion(parser, host)

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Measure."""
        return evaluate(options, output, commandline.running(options, output, host))
