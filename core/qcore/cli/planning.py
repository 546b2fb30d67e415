"""`qcore plan`."""

from __future__ import annotations

import argparse
from pathlib import Path

from qcore.cli.console import Output
from qcore.host.plugins import Host


def arguments(parser: argparse.ArgumentParser) -> None:
    """The model, and what the route leads through."""
    parser.add_argument("model", help="a model file, or the name of a loader")
    parser.add_argument("quantizer", nargs="?", help="name of a quantizer; none for a float route")
    parser.add_argument("backend", nargs="?", help="name of a backend; without one, all routes are listed")
    parser.add_argument("--target", help="profile to write for instead of the backend's own")


def run(options: argparse.Namespace, output: Output, host: Host) -> int:
    """`qcore plan`."""
    from qcore.host.specs import BackendSpec, ConverterSpec, LoaderSpec, QuantizerSpec
    from qcore.workflow import planner
    from qcore.workflow.recipe import Recipe

    names = {spec.name for spec in host.specs(LoaderSpec)}
    if not Path(options.model).exists() and options.model in names:
        start = host.get(LoaderSpec, options.model).produces
    else:
        start = Recipe(Path(options.model)).start(host=host).start_form
    converters = host.specs(ConverterSpec)
    if options.backend is None:
        quantizers = [host.get(QuantizerSpec, options.quantizer)] if options.quantizer else host.specs(QuantizerSpec)
        found = planner.alternatives(
            start, converters=converters, quantizers=quantizers, backends=host.specs(BackendSpec)
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
        quantizer=None if none else host.get(QuantizerSpec, options.quantizer),
        backend=host.get(BackendSpec, options.backend),
        through=options.target,
    )
    if output.json:
        output.result({"start": str(start), "end": str(route.end), "steps": route.rows()})
        return 0
    rows = [(row["step"], row["kind"], row["name"], row["form"], row["status"], row["hint"]) for row in route.rows()]
    output.table(f"from {start}", ("", "KIND", "NAME", "GIVES", "STATUS", "HINT"), rows)
    return 0
