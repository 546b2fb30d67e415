"""`qcore sensitivity`."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from qcore.plugin import Host, Output, UsageError, replacing, require
from qcore_kit import commandline
from qcore_kit.folders import require_source, writable
from qcore_kit.tuning.ranking import leaving, ranking

if TYPE_CHECKING:
    from qcore.plugin import Run

SHOWN = 15


def rank(options: argparse.Namespace, output: Output, run: Run) -> int:
    """Rank, confirm the worst where asked, write the file."""
    if options.confirm and not (options.data and options.quantizer and options.backend):
        raise UsageError("--confirm needs --data, --quantizer and --backend: what to measure, and how")
    require_source(options.calib, "--calib")
    folder = writable(options.out)
    draw = {"seed": options.calib_seed, **({} if options.calib_limit is None else {"limit": options.calib_limit})}
    file = run.recipe.file
    rows = ranking(run, run.inputs(options.calib, **draw), output)
    document: dict[str, Any] = {"model": str(file), "layers": rows}
    if options.confirm:
        quantizing = run.recipe.with_quantizer(options.quantizer, calibration=options.calib, **draw)
        document["confirmed"] = _confirmed(options, output, run.vary(quantizing), rows)
    path = folder / f"{file.stem}.sensitivity.json"
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if output.json:
        output.result({"file": str(path), **document})
        return 0
    columns = list(rows[0])
    shown = [[_cell(row[key]) for key in columns] for row in rows[:SHOWN]]
    output.table("", [column.replace("_", " ").upper() for column in columns], shown)
    output.say(f"{path} ({len(rows)} layers, the {min(SHOWN, len(rows))} worst are shown)")
    return 0


def _confirmed(options: argparse.Namespace, output: Output, run: Run, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The main figure with each of the worst layers left float, beside that of none; added to the rows."""
    from qcore.plugin import Judge

    require(options.data)
    judge = Judge(run.host, options.data, commandline.labels(options), output.progress)
    contract = run.model("quantizer").contract
    protocol = judge.protocol(contract)

    def figure(layers: list[str]) -> float:
        left = leaving(run, layers)
        return judge(left.vary(left.recipe.with_backend(options.backend).with_protocol(protocol)).predictor())

    whole = figure([])
    name = judge.name(contract)
    for row in rows[: options.confirm]:
        row["gain"] = figure([row["layer"]]) - whole
        output.note(f"{row['layer']} left float: {name} {row['gain']:+.4f}")
    for row in rows[options.confirm :]:
        row["gain"] = None
    return {"figure": name, "int8": whole, "data": options.data, "quantizer": options.quantizer}


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


class Sensitivity:
    """Ranks the layers by what quantizing them costs."""

    example = "qcore sensitivity yolov5n.pt --calib images/ -o out/"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:
        """What it takes."""
        commandline.add_model(parser)
        parser.add_argument(
            "--calib",
            required=True,
            metavar="DATA",
            help="inputs to measure with: a directory, or a file that lists them",
        )
        commandline.add_calibration(parser)
        parser.add_argument(
            "--confirm",
            type=int,
            default=0,
            metavar="N",
            help="also evaluate on --data with each of the N most sensitive layers kept in float, one at a time",
        )
        parser.add_argument("--quantizer", metavar="Q", help="quantizer to confirm with")
        parser.add_argument("--backend", metavar="B", help="backend to confirm on")
        parser.add_argument("--data", metavar="FILE", help="labelled data to confirm with")
        commandline.add_labels(parser, host)
        commandline.add_out(parser)

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Rank."""
        return rank(options, output, commandline.begin(options, output, host))
