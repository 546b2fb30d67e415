"""`qcore compare`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore.plugin import DEPLOYED, Host, Output, UsageError, counted
from qcore_kit import commandline, parts
from qcore_kit.commandline import add_cpu
from qcore_kit.describing import listed
from qcore_kit.folders import require_source
from qcore_kit.kinds import ObserverSpec
from qcore_kit.reports import Report, Section, Table, Verdict
from qcore_kit.reports import command as reporting
from qcore_kit.reports.about import about
from qcore_kit.tuning.drop import Drop

if TYPE_CHECKING:
    from qcore.plugin import Contract
    from qcore_kit.comparison.rung import Cause, Rung
    from qcore_plugins.tools.compare.ladder import Compared
    from qcore_plugins.tools.compare.side import Side


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `qcore compare` but for those of the model's checkpoint."""
    parser.add_argument("candidate", nargs="?", help="file to compare with it; optional with --preprocess-from")
    parser.add_argument(
        "--data", required=True, metavar="DATA", help="images, a directory, or labelled data such as a COCO JSON"
    )
    commandline.add_limit(parser)
    parser.add_argument(
        "--backend",
        action="append",
        default=[],
        metavar="B",
        help="backend to run on: one for both files, or one per file",
    )
    add_cpu(parser, "kind of CPU to run the files as")
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        help="evaluation protocol (default: the first one that both contracts define, if the data has labels)",
    )
    parser.add_argument(
        "--preprocess-from",
        metavar="SOURCE",
        help="check your own preprocessing against the contract: the tensor that it gave for the first input "
        "(FILE.npy), or the function that gives it (FILE.py:FUNCTION)",
    )
    parser.add_argument(
        "--max-drop",
        type=Drop,
        default=0.01,
        metavar="X",
        help="fail the accuracy step on a statistically significant loss of more than X, e.g. 0.005 or 0.5pt "
        "(default: 0.01)",
    )
    parser.add_argument(
        "--accept",
        action="append",
        default=[],
        metavar="STEP",
        help="report a failure of this step as a note and go on, e.g. contract (repeatable)",
    )


def run(options: argparse.Namespace, output: Output, host: Host) -> int:
    """Climb the ladder; exit code 1 where a step fails."""
    from qcore_plugins.tools.compare import dividing, ladder, sides
    from qcore_plugins.tools.compare.own_preprocessing import foreign

    commandline.require_positive(options, "limit")
    if not 0 <= options.max_drop <= 1:
        raise UsageError(f"--max-drop {options.max_drop:g} is not between 0 and 1")
    if len(options.backend) > 2:
        raise UsageError(f"{len(options.backend)} backends for two files", hint="give one for both, or one for each")
    require_source(options.data, "--data")
    share = _share(options)
    observers = reporting.begun(options, host)
    own, most = foreign(options.preprocess_from) if options.preprocess_from else (None, None)
    limit = min(filter(None, (options.limit, most)), default=None)
    if options.candidate is None and own is None:
        raise UsageError("CANDIDATE is missing", hint="qcore compare REF CANDIDATE --data DIR")
    one, *others = sides.begun(options, output, host)
    if own is not None and not others:
        compared = ladder.preprocessing_only((options.model, one), options.data, own, limit=limit)
    else:
        both = (options.model, one), (options.candidate, others[0])
        settings: dict[str, Any] = {
            **commandline.labels(options),
            "protocol": options.protocol,
            "limit": limit,
            "accept": options.accept,
            "max_drop": options.max_drop,
            "cpu": options.cpu,
        }
        begun = ladder.begin(*both, options.data, **settings)
        if share:
            written = dividing.write(begun, options.data, *share, options.out, output.progress)
            output.say(f"{options.out}: part {share[0]} of {share[1]}, {counted(written, 'input')}")
            document = {"file": options.out, "part": share[0], "of": share[1], "inputs": written}
            output.result(document) if output.json else None
            return 0
        known = dividing.read(begun, options.data, options.merge) if options.merge else {}
        compared = ladder.climb(begun, accept=options.accept, foreign=own, progress=output.progress, known=known)
    contracts = {side.name: side.contract for side in (compared.reference, compared.candidate) if side}
    report = made(compared, str(options.data), contracts, observers.commands(contracts))
    if output.json:
        output.result(report.document)
    else:
        _show(compared, report, output)
    observers.tell(report, output)
    return 1 if compared.failed else 0


def _share(options: argparse.Namespace) -> tuple[int, int] | None:
    """Which part of how many; None for all.

    Raises:
        UsageError: It is no such thing, or it does not go with the other flags.
    """
    if not options.part:
        if options.out:
            raise UsageError("-o goes with --part K/N", hint="--report DIR writes a page of the whole")
        return None
    if not options.out:
        raise UsageError("--part needs -o FILE: where its results go")
    if options.candidate is None or options.preprocess_from or commandline.given(options, ObserverSpec):
        raise UsageError("--part compares REF and CANDIDATE and nothing else", hint="give the rest with --merge")
    return parts.share(options.part)


def made(found: Compared, data: str, contracts: Mapping[str, Contract], commands: Sequence[str]) -> Report:
    """The report of a comparison."""
    sides = {"REF": found.reference, "CANDIDATE": found.candidate}
    failed = found.failed
    summary = _summary(failed, found.cause) if failed else _passed(found.rungs)
    verdict: Verdict = "fail" if failed else "note" if any(r.verdict == "note" for r in found.rungs) else "pass"
    document = {
        "reference": _facts(sides["REF"]),
        "candidate": _facts(sides["CANDIDATE"]),
        "data": data,
        "inputs": found.inputs,
        "skipped": list(found.skipped),
        "protocol": found.protocol or DEPLOYED,
        "passed": failed is None,
        "failed": failed.name if failed else None,
        "cause": found.cause.name if found.cause else None,
        "steps": [rung.document() for rung in found.rungs],
    }
    return Report(
        f"compare: {' and '.join(Path(name).name for name in contracts)}",
        verdict,
        summary,
        [*_sections(found), *about(contracts)],
        document,
        commands,
        {**{name: _line(side) for name, side in sides.items() if side}, **reporting.facts()},
    )


def _summary(failed: Rung, cause: Cause | None) -> str:
    told = f"{cause.name}. {cause.text}" if cause else failed.summary
    return f'step "{failed.name}" fails first: {told}'


def _passed(rungs: Any) -> str:
    asked = [rung for rung in rungs if rung.verdict != "none"]
    return f"CANDIDATE matches REF: {len(asked)} of {len(rungs)} steps asked, none fails"


def _sections(found: Compared) -> Iterator[Section]:
    rows = [(rung.name, rung.summary, rung.threshold) for rung in found.rungs]
    yield Section(
        "Ladder", [Table(("step", "result", "expected"), rows, verdicts=[rung.verdict for rung in found.rungs])]
    )
    for rung in found.rungs:
        causes = [(cause.name, cause.text, cause.hint) for cause in rung.causes]
        blocks = [Table(("cause", "what is there", "what to do"), causes)] if causes else []
        if blocks or rung.blocks:
            yield Section(rung.name.capitalize(), [*blocks, *rung.blocks], rung.summary)


def _show(found: Compared, report: Report, output: Output) -> None:
    """The ladder, and of failed steps what is known."""
    for name, side in (("REF", found.reference), ("CANDIDATE", found.candidate)):
        if side:
            output.say(f"{name:<10}{side.name}  ({_line(side)})")
    left = f", {len(found.skipped)} skipped" if found.skipped else ""
    output.say(f"{'DATA':<10}{report.document['data']}  ({counted(found.inputs, 'input')}{left})")
    if found.candidate:
        output.say(f"{'PROTOCOL':<10}{found.protocol or DEPLOYED}  ({_parameters(found)})")
    output.say("")
    rows = [
        (place, reporting.SIGNS[rung.verdict] or "-", rung.name, rung.summary)
        for place, rung in enumerate(found.rungs, start=1)
    ]
    output.table("", ("", "", "STEP", ""), rows)
    for rung in found.rungs:
        if rung.verdict in ("fail", "note") and (rung.causes or rung.blocks):
            output.say(f"\n{rung.name}: wanted {rung.threshold}")
            for cause in rung.causes:
                output.say(f"  {cause.name}: {cause.text}")
                if cause.hint:
                    output.say(f"    hint: {cause.hint}")
    output.say(f"\n{reporting.SIGNS[report.verdict]}: {report.summary}")


def _parameters(found: Compared) -> str:
    """What the postprocessing of both ran with."""
    sides = {"REF": found.reference, "CANDIDATE": found.candidate}
    told = {name: listed(dict(side.predictor.contract.postprocess.params)) for name, side in sides.items() if side}
    return told["REF"] if len({*told.values()}) == 1 else "; ".join(f"{name} {text}" for name, text in told.items())


def _line(side: Side) -> str:
    shapes = ", ".join(str(list(tensor.shape)) for tensor in side.contract.inputs)
    return f"{side.predictor.backend}, {side.predictor.executed_precision}, {shapes}"


def _facts(side: Side | None) -> Mapping[str, Any] | None:
    if side is None:
        return None
    return {
        "file": side.name,
        "form": str(side.form),
        "postprocess": dict(side.predictor.contract.postprocess.params),
        "backend": side.predictor.backend,
        "executed_precision": side.predictor.executed_precision,
        "input": list(side.contract.inputs[0].shape),
        "inputs": {tensor.name: list(tensor.shape) for tensor in side.contract.inputs},
    }


class Compare:
    """Tells where a file differs from the model it was made from."""

    example = "qcore compare yolov5n.pt out/yolov5n.xml --data instances.json"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:
        """What it takes."""
        from qcore_plugins.tools.compare import sides

        commandline.add_model(parser, "reference: a checkpoint or an exported file")
        add(parser)
        shared = parser.add_mutually_exclusive_group()
        shared.add_argument(
            "--part", metavar="K/N", help="run only the K-th of N parts of the inputs and write the results to -o FILE"
        )
        shared.add_argument(
            "--merge",
            nargs="+",
            metavar="FILE",
            help="take the results from the files of all parts; only the first inputs are run",
        )
        parser.add_argument("-o", "--out", metavar="FILE", help="file for the results of --part")
        sides.add(parser)
        commandline.add_labels(parser, host)
        reporting.add_observers(parser, host)
        commandline.add_conversion(parser, host)

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Climb the ladder."""
        return run(options, output, host)
