"""What each command does: arguments in, pipeline, words out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qcore
from qcore.cli.arguments import PRECISIONS, conversion, pairs, refuse_unused
from qcore.cli.console import Output
from qcore.errors import UsageError

if TYPE_CHECKING:
    from qcore.workflow.pipelines import Pipeline


def host(options: argparse.Namespace) -> qcore.Host:
    """The plugins of this call."""
    return qcore.Host(entry_points=False) if options.no_plugins else qcore.plugins


def begin(options: argparse.Namespace, output: Output) -> Pipeline:
    """The pipeline that the model's arguments describe."""
    from qcore.host.specs import ConverterSpec
    from qcore.workflow.pipelines import Pipeline

    settings = pairs(options.loader_option, "--loader-option")
    if options.imgsz:
        settings["imgsz"] = imgsz(options.imgsz)
    plugins = host(options)
    made_by_converters = {spec.produces.head for spec in plugins.specs(ConverterSpec)} - {None}
    ending = options.head if options.head in made_by_converters else None
    given = {"batch": options.batch, "head": None if ending else options.head}
    settings |= {name: value for name, value in given.items() if value is not None}
    made = Pipeline(plugins, Path(options.model), options.loader, settings, output.progress)
    made = made.preprocessed(**pairs(options.preprocess, "--preprocess")).ending(ending)
    return made.converting(**conversion(options))


def running(options: argparse.Namespace, output: Output) -> Pipeline:
    """The same, with the runtime's arguments."""
    from qcore.host.specs import BackendSpec

    pipeline = begin(options, output)
    if options.backend:
        pipeline = pipeline.to(options.backend, **pairs(options.backend_option, "--backend-option"))
    elif options.backend_option:
        raise UsageError(
            "--backend-option needs --backend",
            hint=f"--backend one of {', '.join(s.name for s in pipeline.plugins.specs(BackendSpec))}",
        )
    if pipeline.conversion:
        refuse_unused(pipeline.conversion, [pipeline.plan()])
    post = {"confidence": options.confidence, "iou": options.iou}
    return pipeline.with_params(
        preprocess={"rect": True} if options.rect else {},
        postprocess={name: value for name, value in post.items() if value is not None},
    )


def list_plugins(options: argparse.Namespace, output: Output) -> int:
    """`qcore list-plugins`."""
    rows = [row for row in host(options).rows() if options.kind in (None, row["kind"])]
    if output.json:
        output.result(rows)
    else:
        from qcore.cli.listing import render

        output.say(render(rows, [kind.kind for kind in host(options).kinds()]))
    return 0


def doctor(options: argparse.Namespace, output: Output) -> int:
    """`qcore doctor`."""
    from qcore.cli.doctor import run

    return run(output, host(options), options.cpu)


def plan(options: argparse.Namespace, output: Output) -> int:
    """`qcore plan`."""
    from qcore.host.specs import BackendSpec, ConverterSpec, LoaderSpec, QuantizerSpec
    from qcore.workflow import planner
    from qcore.workflow.pipelines import Pipeline

    plugins = host(options)
    names = {spec.name for spec in plugins.specs(LoaderSpec)}
    if not Path(options.model).exists() and options.model in names:
        start = plugins.get(LoaderSpec, options.model).produces
    else:
        start = Pipeline(plugins, Path(options.model)).start_form()
    converters = plugins.specs(ConverterSpec)
    if options.backend is None:
        quantizers = (
            [plugins.get(QuantizerSpec, options.quantizer)] if options.quantizer else plugins.specs(QuantizerSpec)
        )
        found = planner.alternatives(
            start, converters=converters, quantizers=quantizers, backends=plugins.specs(BackendSpec)
        )
        if output.json:
            output.result([{"quantizer": quantizer, "backend": backend} for quantizer, backend in found])
        else:
            output.table(f"routes from {start}", ("QUANTIZER", "BACKEND"), found)
        return 0
    none = options.quantizer in (None, "none", "-")
    route = planner.find(
        start,
        converters=converters,
        quantizer=None if none else plugins.get(QuantizerSpec, options.quantizer),
        backend=plugins.get(BackendSpec, options.backend),
        through=options.target,
    )
    if output.json:
        output.result({"start": str(start), "end": str(route.end), "steps": route.rows()})
        return 0
    rows = [(row["step"], row["kind"], row["name"], row["form"], row["status"], row["hint"]) for row in route.rows()]
    output.table(f"from {start}", ("", "KIND", "NAME", "GIVES", "STATUS", "HINT"), rows)
    return 0


def inspect(options: argparse.Namespace, output: Output) -> int:
    """`qcore inspect`."""
    from qcore.cli.describe import facts
    from qcore.workflow import opening as loading

    pipeline = begin(options, output).load()
    assert pipeline.loaded is not None  # noqa: S101 - load() has just set it
    spec, _ = loading.recognise(options.model, pipeline.plugins)
    found = {"file": options.model, "format": spec.name, **facts(pipeline.loaded)}
    if output.json:
        output.result({**found, "contract": pipeline.loaded.contract.to_dict()})
    else:
        output.table("", ("", ""), [(name, value) for name, value in found.items() if value not in (None, "")])
    return 0


def export(options: argparse.Namespace, output: Output) -> int:
    """`qcore export`."""
    from qcore.files import output_directory
    from qcore.forms import Form
    from qcore.host.specs import ConverterSpec
    from qcore.workflow.opening import format_for

    precision = PRECISIONS[options.precision] if options.precision else None
    pipeline = replace(begin(options, output), target=options.target).computing(precision)
    format_for(Form(options.to), pipeline.plugins)
    plan = pipeline.plan(options.to)
    refuse_unused(pipeline.conversion, [plan])
    if options.target is None and plan.start.profile != plan.end.profile:
        makers = (spec.produces.profile for spec in pipeline.plugins.specs(ConverterSpec))
        raise UsageError(
            f"{options.model}: holds scales for several runtimes",
            hint=f"say which with --target: {', '.join(sorted(filter(None, makers)))}",
        )
    output_directory(options.out)
    return _written(pipeline.save_all(options.out, goal=options.to), output)


def quantize(options: argparse.Namespace, output: Output) -> int:
    """`qcore quantize`."""
    from qcore.cli.quantizing import run

    return run(options, output, begin(options, output))


def sensitivity(options: argparse.Namespace, output: Output) -> int:
    """`qcore sensitivity`."""
    from qcore.cli.sensitivity import run

    return run(options, output, begin(options, output))


def _written(files: Sequence[Path], output: Output) -> int:
    path, size = files[-1], sum(file.stat().st_size for file in files)
    if output.json:
        output.result({"file": str(path), "bytes": size})
    else:
        output.say(f"{path} ({size / 1e6:.2f} MB)")
    return 0


def predict(options: argparse.Namespace, output: Output) -> int:
    """`qcore predict`."""
    from qcore.cli.predicting import run

    return run(options, output, running(options, output))


def evaluate(options: argparse.Namespace, output: Output) -> int:
    """`qcore eval`."""
    from qcore.cli.evaluating import run

    return run(options, output, running(options, output))


def benchmark(options: argparse.Namespace, output: Output) -> int:
    """`qcore benchmark`."""
    from qcore.cli.benchmarking import run

    return run(options, output, host(options))


def compare(options: argparse.Namespace, output: Output) -> int:
    """`qcore compare`."""
    from qcore.cli.comparing import run

    return run(options, output)


def snippet(options: argparse.Namespace, output: Output) -> int:
    """`qcore snippet`."""
    from qcore.snippets import snippet as script

    text = script(options.model, host(options))
    if output.json:
        output.result({"file": options.model, "script": text})
    output.say(text.rstrip())
    return 0


def check(options: argparse.Namespace, output: Output) -> int:
    """`qcore check`."""
    from qcore.cli.checking import run

    return run(options, output, host(options))


def imgsz(values: list[int] | None) -> Any:
    """One number for both sides, or height and width; None for none.

    Raises:
        UsageError: More than two.
    """
    if not values:
        return None
    if len(values) > 2:
        raise UsageError(f"--imgsz takes one number or two, not {len(values)}")
    return values[0] if len(values) == 1 else tuple(values)


def contract_show(options: argparse.Namespace, output: Output) -> int:
    """`qcore contract show`."""
    from qcore.workflow.opening import no_contract, open_file

    opened = open_file(options.model, host(options))
    contract = opened.contract if opened.spec.suffix else None
    if contract is None:
        raise no_contract(opened.path)
    output.result(contract.to_dict())
    return 0


def contract_attach(options: argparse.Namespace, output: Output) -> int:
    """`qcore contract attach`."""
    from qcore.cli.attaching import attach

    if options.contract and (options.family or options.names or options.imgsz):
        raise UsageError("--contract replaces --family, --names and --imgsz: omit those")
    if bool(options.out) == bool(options.in_place):
        raise UsageError("give -o DIR for a copy, or --in-place", hint="qcore contract attach --help")
    written = attach(
        host(options),
        Path(options.model),
        Path(options.out) if options.out else Path(options.model).parent,
        document=options.contract,
        family=options.family,
        names=options.names,
        imgsz=imgsz(options.imgsz),
        preprocess=pairs(options.preprocess, "--preprocess"),
        in_place=options.in_place,
    )
    return _written(written, output)
