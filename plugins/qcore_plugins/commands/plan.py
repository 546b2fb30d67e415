"""`qcore plan`."""

from __future__ import annotations

import argparse
from pathlib import Path

from qcore.plugin import Host, Output


class ShowPlan:
    """Shows the route from a model to a backend."""

    example = "qcore plan yolov5n.pt nncf openvino"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:  # noqa: ARG002
        """The model, and what the route leads through."""
        parser.add_argument("model", help="a model file, or the name of a loader")
        parser.add_argument("quantizer", nargs="?", help="quantizer name, or 'none' to keep the model in float")
        parser.add_argument("backend", nargs="?", help="backend name (default: list all routes)")
        parser.add_argument("--target", help="quantization profile (default: the backend's)")

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Plan; no weights are read where the file's name tells its form."""
        return plan(options, output, host)


def plan(options: argparse.Namespace, output: Output, host: Host) -> int:
    """Print one route, or all that there are."""
    from qcore.plugin import BackendSpec, ConverterSpec, LoaderSpec, QuantizerSpec, find_route, recipe, routes

    names = {spec.name for spec in host.specs(LoaderSpec)}
    if not Path(options.model).exists() and options.model in names:
        start = host.get(LoaderSpec, options.model).produces
    else:
        start = recipe(options.model).start(host=host).start_form
    converters = host.specs(ConverterSpec)
    if options.backend is None:
        quantizers = [host.get(QuantizerSpec, options.quantizer)] if options.quantizer else host.specs(QuantizerSpec)
        found = routes(start, converters=converters, quantizers=quantizers, backends=host.specs(BackendSpec))
        if output.json:
            output.result([{"quantizer": quantizer, "backend": backend} for quantizer, backend in found])
        else:
            output.table(f"routes from {start}", ("QUANTIZER", "BACKEND"), found)
        return 0
    none = options.quantizer in (None, "none", "-")
    route = find_route(
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
