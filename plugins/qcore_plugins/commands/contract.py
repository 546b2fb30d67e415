"""`qcore contract`."""

from __future__ import annotations

import argparse
from pathlib import Path

from qcore.plugin import Host, Output, UsageError, add_common
from qcore_kit import commandline
from qcore_plugins.commands.export import tell


def show(options: argparse.Namespace, output: Output, host: Host) -> int:
    """`qcore contract show`."""
    from qcore.plugin import open_file
    from qcore_kit.uncontracted import no_contract

    opened = open_file(options.model, host)
    contract = opened.contract if opened.spec.suffix else None
    if contract is None:
        raise no_contract(opened.path)
    output.result(contract.to_dict())
    return 0


def attach(options: argparse.Namespace, output: Output, host: Host) -> int:
    """`qcore contract attach`."""
    from qcore_plugins.commands import attaching

    if options.contract and (options.family or options.names or options.imgsz):
        raise UsageError("--contract replaces --family, --names and --imgsz: omit those")
    if bool(options.out) == bool(options.in_place):
        raise UsageError("give -o DIR for a copy, or --in-place", hint="qcore contract attach --help")
    written = attaching.attach(
        host,
        Path(options.model),
        Path(options.out) if options.out else Path(options.model).parent,
        document=options.contract,
        family=options.family,
        names=options.names,
        imgsz=commandline.imgsz(options.imgsz),
        preprocess=commandline.pairs(options.preprocess, "--preprocess"),
        in_place=options.in_place,
    )
    return tell(written, output)


class Contract:
    """Shows or attaches a contract."""

    example = "qcore contract attach model.onnx --family FAMILY --names names.txt -o out/"
    actions = True

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:  # noqa: ARG002
        """The actions, and what each takes."""
        actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=type(parser))

        def action(name: str, summary: str, example: str) -> argparse.ArgumentParser:
            added: argparse.ArgumentParser = actions.add_parser(
                name,
                help=summary,
                description=summary,
                epilog=f"example: {example}",
                formatter_class=parser.formatter_class,
            )
            add_common(added)
            return added

        shown = action("show", "print the contract inside a file as JSON", "qcore contract show out/model.onnx")
        shown.add_argument("model", help="an exported file")
        attached = action("attach", "write a copy of a file with a contract inside", self.example)
        _attach_arguments(attached)

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Show, or attach."""
        return (show if options.action == "show" else attach)(options, output, host)


def _attach_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="an exported file")
    parser.add_argument("--contract", metavar="JSON", help="contract to attach, as a JSON file")
    parser.add_argument("--family", metavar="FAMILY", help="family whose outputs the file has (default: recognised)")
    parser.add_argument(
        "--names", metavar="FILE", help="text file with one class name per line (default: the file's own)"
    )
    parser.add_argument("--imgsz", type=int, nargs="+", metavar="PX", help="height and width of a dynamic input")
    parser.add_argument(
        "--preprocess",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="override a preprocessing parameter of the family (repeatable)",
    )
    parser.add_argument("--in-place", action="store_true", help="replace the file itself")
    commandline.add_out(parser, required=False)
