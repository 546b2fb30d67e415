"""The arguments of every command, each with an example in its help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from qcore.cli.arguments import PRECISIONS, add_benchmark, add_conversion, add_cpu, add_report
from qcore.errors import UsageError

EXAMPLES = {
    "list-plugins": "qcore list-plugins --json",
    "doctor": "qcore doctor",
    "plan": "qcore plan yolov5n.pt nncf openvino",
    "inspect": "qcore inspect yolov5n.pt",
    "export": "qcore export yolov5n.pt --to onnx --imgsz 640 640 -o out/",
    "quantize": "qcore quantize yolov5n.pt --calib images/ --quantizer nncf --backend openvino -o out/",
    "sensitivity": "qcore sensitivity yolov5n.pt --calib images/ -o out/",
    "predict": "qcore predict out/yolov5n.xml street.jpg --save shown/",
    "eval": "qcore eval out/yolov5n.xml --data instances.json --json",
    "compare": "qcore compare yolov5n.pt out/yolov5n.xml --data instances.json",
    "benchmark": "qcore benchmark float/yolov5n.xml int8/yolov5n.xml --data images/",
    "snippet": "qcore snippet out/yolov5n.onnx > detect.py",
    "check": "qcore check out/yolov5n.onnx --target tensorrt",
    "contract": "qcore contract attach model.onnx --family FAMILY --names names.txt -o out/",
}


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are `UsageError`s and that takes flags in full only."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"{self.prog} --help")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from qcore import __version__

        sys.stdout.write(f"qcore {__version__}\n")
        parser.exit(0)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The parsed arguments; `run` is the function of the command, `argv` the arguments as they were typed.

    Raises:
        UsageError: An unknown command or flag, or a bad value.
    """
    return build(argv).parse_args(argv, argparse.Namespace(argv=tuple(argv)))


def build(argv: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The whole parser. Commands of plugins are added unless a built-in command is plainly meant."""
    import qcore
    from qcore.cli import plugin_commands
    from qcore.host.plugins import Host

    style = _formatter(argv)
    parser = _Parser(
        prog="qcore", description="From a trained model to a verified quantized one.", formatter_class=style
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)

    def command(
        name: str, summary: str, run: Any, *, of: Any = subparsers, example: str = ""
    ) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = of.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"example: {example or EXAMPLES[name]}",
            formatter_class=style,
        )
        added.set_defaults(run=run)
        common(added)
        return added

    _planning(command)
    made = {"export": _export(command), "quantize": _quantize(command)}
    _sensitivity(command)
    made |= _measuring(command) | _compare(command)
    if argv and argv[0] in made:
        add_conversion(made[argv[0]], Host(entry_points=False) if "--no-plugins" in argv else qcore.plugins)
    _benchmark(command)
    _check(command)
    _contract(command, subparsers, style)
    if not argv or argv[0] not in EXAMPLES:
        plugin_commands.add(command, argv)
    return parser


def _planning(command: Any) -> None:
    from qcore.cli import commands

    listing = command(
        "list-plugins", "show every component, where it came from, and what is missing", commands.list_plugins
    )
    listing.add_argument("--kind", help="only components of this kind")

    doctor = command("doctor", "tell what is installed, what is missing and what that costs", commands.doctor)
    add_cpu(doctor, "kind of CPU to describe the cost of INT8 on")

    plan = command("plan", "show the route from a model through a quantizer to a backend", commands.plan)
    plan.add_argument("model", help="a model file, or the name of a loader")
    plan.add_argument("quantizer", nargs="?", help="name of a quantizer; none for a float route")
    plan.add_argument("backend", nargs="?", help="name of a backend; without one, all routes are listed")
    plan.add_argument("--target", help="profile to write for instead of the backend's own")

    inspect = command("inspect", "tell what is in a model file", commands.inspect)
    _model(inspect)


def _export(command: Any) -> argparse.ArgumentParser:
    from qcore.cli import commands

    export: argparse.ArgumentParser = command("export", "write the float model in another format", commands.export)
    _model(export)
    export.add_argument("--to", required=True, metavar="FORMAT", help="format to write, e.g. onnx")
    export.add_argument("--target", metavar="PROFILE", help="profile to write a scale table for")
    export.add_argument(
        "--precision", choices=PRECISIONS, help="type to compute in; fp16 leaves the decode and the inputs in float32"
    )
    _out(export)
    return export


def _quantize(command: Any) -> argparse.ArgumentParser:
    from qcore.cli import commands

    quantize: argparse.ArgumentParser = command(
        "quantize", "calibrate and write the quantized model", commands.quantize
    )
    _model(quantize)
    quantize.add_argument(
        "--calib", required=True, metavar="DATA", help="calibration inputs: a directory, or a file that lists them"
    )
    quantize.add_argument("--quantizer", metavar="Q", help="name of the quantizer")
    quantize.add_argument(
        "--backend",
        action="append",
        metavar="B",
        help="where the file will run (repeatable); by default every installed one with a profile for it",
    )
    quantize.add_argument("--target", metavar="PROFILE", help="profile to write for instead of the backend's own")
    add_cpu(quantize, "kind of CPU that the parity check runs the file as")
    _calibration(quantize)
    quantize.add_argument(
        "-q", "--quantizer-option", action="append", default=[], metavar="NAME=VALUE", help="setting of the quantizer"
    )
    quantize.add_argument(
        "--exclude", action="append", default=[], metavar="PATTERN", help="layers to leave float (repeatable)"
    )
    quantize.add_argument(
        "--no-last-layer", action="store_true", help="leave the last convolutions before the decode float"
    )
    quantize.add_argument("--explain", action="store_true", help="show for each layer what was decided, and why")
    quantize.add_argument(
        "--qat", action="store_true", help="fine-tune the quantized network by distillation; needs no labels"
    )
    quantize.add_argument("--device", metavar="D", help="where the quantizer computes, e.g. cuda or cpu")
    quantize.add_argument(
        "--max-drop",
        type=float,
        metavar="X",
        help="leave the worst layers float until the main figure on --data drops by no more than X",
    )
    quantize.add_argument("--data", metavar="FILE", help="labelled data to decide on, e.g. a COCO json")
    _labels(quantize)
    _out(quantize)
    add_report(quantize)
    return quantize


def _sensitivity(command: Any) -> None:
    from qcore.cli import commands

    sensitivity = command("sensitivity", "rank the layers by what quantizing them costs", commands.sensitivity)
    _model(sensitivity)
    sensitivity.add_argument(
        "--calib",
        required=True,
        metavar="DATA",
        help="inputs to measure with: a directory, or a file that lists them",
    )
    _calibration(sensitivity)
    sensitivity.add_argument(
        "--confirm", type=int, default=0, metavar="N", help="measure --data with each of the N worst layers left float"
    )
    sensitivity.add_argument("--quantizer", metavar="Q", help="quantizer to confirm with")
    sensitivity.add_argument("--backend", metavar="B", help="runtime to confirm on")
    sensitivity.add_argument("--data", metavar="FILE", help="labelled data to confirm with")
    _labels(sensitivity)
    _out(sensitivity)


def _measuring(command: Any) -> dict[str, argparse.ArgumentParser]:
    from qcore.cli import commands

    predict = command("predict", "run a model on inputs", commands.predict)
    _model(predict)
    predict.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="files, folders, patterns such as in/**/*.jpg, or the number of a camera",
    )
    predict.add_argument("--save", metavar="DIR", help="write each input with its results drawn on it")
    predict.add_argument("-o", "--out", metavar="PATH", help="write the results: a file, or a folder for --format yolo")
    predict.add_argument("--format", metavar="F", help="what -o writes: json (default), or coco or yolo for detectors")
    predict.add_argument("--data", metavar="FILE", help="COCO json whose image and category ids --format coco takes")
    predict.add_argument(
        "--batch-size", type=int, metavar="N", help="inputs at once, for files whose batch is dynamic (default 1)"
    )
    predict.add_argument("--limit", type=int, metavar="N", help="at most N frames of each video or camera")
    predict.add_argument(
        "--stride", type=int, default=1, metavar="N", help="every Nth frame of each video or camera (default 1)"
    )
    _runtime(predict)

    evaluate = command("eval", "measure a model on labelled data", commands.evaluate)
    _model(evaluate)
    evaluate.add_argument(
        "--data", required=True, metavar="FILE", help="labelled data, e.g. a COCO json or a data.yaml"
    )
    _labels(evaluate)
    evaluate.add_argument(
        "--protocol",
        metavar="NAME",
        help="a named protocol of the contract, e.g. upstream, instead of the contract's own parameters",
    )
    _runtime(evaluate)
    add_report(evaluate)
    return {"predict": predict, "eval": evaluate}


def _compare(command: Any) -> dict[str, argparse.ArgumentParser]:
    from qcore.cli import commands, comparing

    compare = command("compare", "tell where a file differs from the model that it was made of", commands.compare)
    _model(compare, "the file that is right: a checkpoint or an exported file")
    comparing.add(compare)
    _labels(compare)
    add_report(compare)
    return {"compare": compare}


def _benchmark(command: Any) -> None:
    from qcore.cli import commands

    benchmark = command("benchmark", "time files side by side", commands.benchmark)
    add_benchmark(benchmark)
    add_report(benchmark)


def _check(command: Any) -> None:
    from qcore.cli import commands

    snippet = command("snippet", "print a script that runs a file without qcore", commands.snippet)
    snippet.add_argument("model", help="an exported file")

    check = command("check", "tell what a runtime will refuse, get wrong or run slowly", commands.check)
    check.add_argument("model", nargs="?", help="an exported file")
    check.add_argument("--target", metavar="RUNTIME", help="runtime to judge for, e.g. tensorrt")
    check.add_argument(
        "--select", action="append", default=[], metavar="IDS", help="rules to ask, or beginnings of some: QDQ,TRT003"
    )
    check.add_argument("--ignore", action="append", default=[], metavar="IDS", help="rules not to ask, or beginnings")
    add_cpu(check, "kind of CPU to judge for")
    check.add_argument(
        "--data", metavar="DIR", help="directory of inputs for computing what saturating sums cost (8 of them are read)"
    )
    check.add_argument("--explain", metavar="ID", help="print the page of a rule")


def _contract(command: Any, subparsers: Any, style: Any) -> None:
    from qcore.cli import commands

    contract = subparsers.add_parser(
        "contract",
        help="show or attach a contract",
        description="Show or attach a contract.",
        epilog=f"example: {EXAMPLES['contract']}",
        formatter_class=style,
    )
    actions = contract.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=_Parser)
    show = command(
        "show",
        "print the contract inside a file as JSON",
        commands.contract_show,
        of=actions,
        example="qcore contract show out/model.onnx",
    )
    show.add_argument("model", help="an exported file")
    attach = command(
        "attach",
        "write a copy of a file with a contract inside",
        commands.contract_attach,
        of=actions,
        example=EXAMPLES["contract"],
    )
    attach.add_argument("model", help="an exported file")
    attach.add_argument("--contract", metavar="JSON", help="a whole contract as a JSON file")
    attach.add_argument("--family", metavar="FAMILY", help="family whose outputs the file has (default: recognised)")
    attach.add_argument(
        "--names", metavar="FILE", help="text file with one class name per line (default: the file's own)"
    )
    attach.add_argument("--imgsz", type=int, nargs="+", metavar="PX", help="height and width of a dynamic input")
    attach.add_argument(
        "--preprocess",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="parameter of the preprocessor that differs from the family's own",
    )
    attach.add_argument("--in-place", action="store_true", help="replace the file itself")
    _out(attach, required=False)


def common(parser: argparse.ArgumentParser) -> None:
    """The flags that every command has."""
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument("--quiet", action="store_true", help="no progress, no remarks")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.add_argument("--no-plugins", action="store_true", help="start without installed plugins")


def _model(parser: argparse.ArgumentParser, told: str = "a checkpoint or an exported file") -> None:
    parser.add_argument("model", help=told)
    parser.add_argument("--loader", help="loader to use where the content does not decide")
    parser.add_argument(
        "--imgsz", type=int, nargs="+", metavar="PX", help="input size: one number, or height and width"
    )
    parser.add_argument("--batch", metavar="N", help="batch size of the input, or dynamic")
    parser.add_argument(
        "--head", metavar="HEAD", help="how far the graph goes: raw, decoded, or nms where it is written"
    )
    parser.add_argument(
        "--loader-option", action="append", default=[], metavar="NAME=VALUE", help="further setting of the loader"
    )
    parser.add_argument(
        "--preprocess",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="parameter of the preprocessor, where the model was trained on other pixels than the contract says",
    )


def _calibration(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calib-limit", type=int, default=None, metavar="N", help="calibrate with at most N inputs")
    parser.add_argument("--calib-seed", type=int, default=0, metavar="S", help="seed of that choice (default 0)")


def _labels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", metavar="DIR", help="where the inputs of --data lie, if not beside it")
    parser.add_argument(
        "--classes",
        action="append",
        default=[],
        metavar="MODEL=DATA",
        help="class of the model that is a class of the data (repeatable)",
    )


def _out(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    parser.add_argument("-o", "--out", required=required, metavar="DIR", help="folder for the file and its side files")


def _runtime(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--backend", metavar="B", help="runtime; by default the one the file is made for")
    parser.add_argument(
        "--backend-option", action="append", default=[], metavar="NAME=VALUE", help="setting of the runtime"
    )
    parser.add_argument("--confidence", type=float, metavar="C", help="confidence threshold instead of the contract's")
    parser.add_argument("--iou", type=float, metavar="I", help="IoU threshold of the non-maximum suppression")
    parser.add_argument(
        "--rect", action="store_true", help="pad each input to the smallest rectangle (models with free input size)"
    )


def _formatter(argv: Sequence[str]) -> Any:
    """Coloured help where help is asked for: importing rich costs more than most commands take to start."""
    if sys.stdout.isatty() and (not argv or {"-h", "--help"} & set(argv)):
        from rich_argparse import RawDescriptionRichHelpFormatter

        return RawDescriptionRichHelpFormatter
    return argparse.RawDescriptionHelpFormatter
