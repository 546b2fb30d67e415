"""`qcore plan`."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore.plugin import Host, Output
from qcore_kit import commandline

if TYPE_CHECKING:
    from qcore.plugin import BackendSpec, ConverterSpec, Form, Plan, QuantizerSpec, Spec


class ShowPlan:
    """Shows the route from a model to a backend."""

    example = "qcore plan yolov5n.pt nncf openvino"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:  # noqa: ARG002
        """The model, and what the route leads through."""
        parser.add_argument("model", help="a model file, or the name of a loader")
        parser.add_argument("quantizer", nargs="?", help="quantizer name, or 'none' to keep the model in float")
        parser.add_argument("backend", nargs="?", help="backend name (default: list all routes)")
        commandline.add_profile(parser, "quantization profile (default: the backend's)")

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Plan; no weights are read where the file's name tells its form."""
        return plan(options, output, host)


def plan(options: argparse.Namespace, output: Output, host: Host) -> int:
    """Print one route, or all that there are."""
    from qcore.plugin import BackendSpec, ConverterSpec, LoaderSpec, QuantizerSpec, find_route, recipe

    names = {spec.name for spec in host.specs(LoaderSpec)}
    if not Path(options.model).exists() and options.model in names:
        start = host.get(LoaderSpec, options.model).produces
    else:
        start = recipe(options.model).start(host=host).start_form
    converters = host.specs(ConverterSpec)
    if options.backend is None:
        quantizers = [host.get(QuantizerSpec, options.quantizer)] if options.quantizer else host.specs(QuantizerSpec)
        routes = _routes(start, converters=converters, quantizers=quantizers, backends=host.specs(BackendSpec))
        if output.json:
            output.result([{"quantizer": quantizer, "backend": backend} for quantizer, backend in routes])
        else:
            output.table(f"routes from {start}", ("QUANTIZER", "BACKEND"), routes)
        return 0
    none = options.quantizer in (None, "none", "-")
    route = find_route(
        start,
        converters=converters,
        quantizer=None if none else host.get(QuantizerSpec, options.quantizer),
        backend=host.get(BackendSpec, options.backend),
        through=options.profile,
    )
    if output.json:
        output.result({"start": str(start), "end": str(route.end), "steps": _rows(route)})
        return 0
    rows = [(row["step"], row["kind"], row["name"], row["form"], row["status"], row["hint"]) for row in _rows(route)]
    output.table(f"from {start}", ("", "KIND", "NAME", "GIVES", "STATUS", "HINT"), rows)
    return 0


def _routes(
    start: Form,
    *,
    converters: Sequence[ConverterSpec],
    quantizers: Sequence[QuantizerSpec],
    backends: Sequence[BackendSpec],
) -> list[tuple[str, str]]:
    """All (quantizer, backend) pairs with a route from `start`."""
    from qcore.plugin import NoRoute, find_route

    pairs = []
    for quantizer, backend in itertools.product(quantizers, backends):
        try:
            find_route(start, converters=converters, quantizer=quantizer, backend=backend)
        except NoRoute:
            continue
        pairs.append((quantizer.name, backend.name))
    return pairs


def _rows(route: Plan) -> list[dict[str, Any]]:
    """One row a step."""
    steps: list[tuple[Spec[Any], Form]] = [(leg.spec, leg.result) for leg in route.legs]
    if route.backend:
        steps.append((route.backend, route.end))
    return [
        {
            "step": number,
            "kind": spec.kind,
            "name": spec.name,
            "form": str(form),
            "status": "missing" if spec.problems() else "ok",
            "hint": " && ".join(install for _, install in spec.problems()),
        }
        for number, (spec, form) in enumerate(steps, 1)
    ]
