"""`qcore export`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from qcore.plugin import Host, Output, UsageError
from qcore_kit import commandline, recipes
from qcore_kit.folders import writable


def export(options: argparse.Namespace, output: Output, host: Host) -> int:
    """Plan, then write."""
    from qcore.plugin import ConverterSpec, Form, format_for

    precision = commandline.PRECISIONS[options.precision] if options.precision else None
    recipe = commandline.begun(options, host).with_backend(None, profile=options.profile).with_precision(precision)
    format_for(Form(options.to), host)
    run = recipe.start(progress=output.progress, host=host)
    plan = run.plan(options.to)
    commandline.refuse_unused(recipe.conversion, [plan])
    if options.profile is None and plan.start.profile != plan.end.profile:
        makers = (spec.produces.profile for spec in host.specs(ConverterSpec))
        raise UsageError(
            f"{options.model}: this scale table serves several runtimes",
            hint=f"choose one with --profile: {', '.join(sorted(filter(None, makers)))}",
        )
    recipes.require_apart(recipe.file, options.out, plan.end, host)
    writable(options.out)
    return tell(recipes.save(run, options.out, to=options.to), output)


def tell(files: Sequence[Path], output: Output) -> int:
    """Say where the files are; 0."""
    path, size = files[-1], sum(file.stat().st_size for file in files)
    if output.json:
        output.result({"file": str(path), "bytes": size})
    else:
        output.say(f"{path} ({size / 1e6:.2f} MB)")
    return 0


class Export:
    """Converts a model, or a scale table, to another format."""

    example = "qcore export yolov5n.pt --to onnx --imgsz 640 640 -o out/"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:
        """What it takes."""
        commandline.add_model(parser)
        parser.add_argument("--to", required=True, metavar="FORMAT", help="format to write, e.g. onnx")
        commandline.add_profile(
            parser,
            "quantization profile to apply to a scale table (.qtable: the float graph with the ranges that calibration "
            "found), e.g. tensorrt",
        )
        parser.add_argument(
            "--precision",
            choices=commandline.PRECISIONS,
            help="precision of the network; f16 keeps inputs, outputs and box decoding in float32",
        )
        commandline.add_out(parser)
        commandline.add_conversion(parser, host)

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Export."""
        return export(options, output, host)
