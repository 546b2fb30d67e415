"""What several commands do with their arguments."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from qcore.plugin import Host, Output, Plan, Spec, UsageError
from qcore_kit.machine import CPUS, THIS

if TYPE_CHECKING:
    from qcore.plugin import Recipe, Run

SpecT = TypeVar("SpecT", bound=Spec[Any])
PRECISIONS = {"f32": "f32", "f16": "f16", "fp32": "f32", "fp16": "f16"}
"""Words of the command line -> words of forms."""


def add_options(parser: argparse.ArgumentParser, host: Host, kind: type[Spec[Any]]) -> None:
    """Add the options of all installed components of a kind as flags; `given` reads them back.

    A name that several have is one flag for all where type and choices agree, `--COMPONENT.NAME` for those that differ
    and for a name that is a flag already. An option of somebody else's component has both flags, and loses the short
    one to a flag that the command adds later.
    """
    from qcore.plugin import ConverterSpec, bundled, shared_options

    own = {spec.name for spec in host.specs(kind) if bundled(spec)}
    group = parser.add_argument_group("conversion") if kind is ConverterSpec else parser
    for name, (option, owners) in shared_options(host.specs(kind)).items():
        flag = f"--{name.replace('_', '-')}"
        longer = f"--{owners[0]}.{option.name.replace('_', '-')}"
        flags = [flag] if own & set(owners) or flag == longer else [longer, flag]
        flags = [each for each in flags if each not in parser._option_string_actions] or [longer]
        told = f"{option.help} ({', '.join(owners)})" if kind is ConverterSpec else option.help
        metavars = {Path: "DIR", int: "N"}
        settings: dict[str, Any] = {"metavar": metavars.get(option.type, option.name.rpartition("_")[2].upper())}
        if option.type is bool:
            settings = {"action": "store_true"}
        elif option.type is dict:
            settings, told = {"action": "append", "metavar": "MODEL=DATA"}, f"{told} (repeatable)"
        group.add_argument(*flags, dest=f"{kind.kind}:{name}", default=None, help=told.replace("%", "%%"), **settings)


def given(options: argparse.Namespace, kind: type[Spec[Any]]) -> dict[str, Any]:
    """The options of components of a kind that were given as flags."""
    prefix = f"{kind.kind}:"
    texts = {name.removeprefix(prefix): value for name, value in vars(options).items() if name.startswith(prefix)}
    return {
        name: pairs(value, f"--{name.replace('_', '-')}") if isinstance(value, list) else value
        for name, value in texts.items()
        if value is not None
    }


def taking_part(host: Host, kind: type[SpecT], options: Mapping[str, Any]) -> list[tuple[SpecT, Any]]:
    """The components of which an option was given, each with its settings.

    Args:
        host: Where they come from.
        kind: Theirs.
        options: By the names of `shared_options`.

    Raises:
        UsageError: A bad value.
    """
    from qcore.plugin import shared_options

    shared = shared_options(host.specs(kind))
    chosen = []
    for spec in host.specs(kind):
        own = {
            option.name: value
            for name, value in options.items()
            for option in spec.options
            if name in shared and spec.name in shared[name][1] and name in (option.name, f"{spec.name}.{option.name}")
        }
        if own:
            chosen.append((spec, spec.typed(spec.settings(own))))
    return chosen


def add_conversion(parser: argparse.ArgumentParser, host: Host) -> None:
    """Add the options of all installed converters as flags."""
    from qcore.plugin import ConverterSpec

    add_options(parser, host, ConverterSpec)


def refuse_unused(conversion: Mapping[str, Any], plans: Iterable[Plan]) -> None:
    """Refuse converters' options that no step takes.

    Raises:
        UsageError: Names them.
    """
    steps = [leg.spec for plan in plans for leg in plan.legs]
    taken = {name for spec in steps for option in spec.options for name in (option.name, f"{spec.name}.{option.name}")}
    if strange := sorted(set(conversion) - taken):
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in strange)
        raise UsageError(
            f"{flags}: not used by any step of this conversion", hint="remove it, or run qcore plan to see the steps"
        )


def add_cpu(parser: argparse.ArgumentParser, told: str) -> None:
    """Add the flag `--cpu`; the text says what is answered for that kind of CPU."""
    parser.add_argument(
        "--cpu", choices=CPUS, default=THIS, help=f"{told}: avx2 (any x86 CPU without VNNI), vnni, or this (default)"
    )


def conversion(options: argparse.Namespace) -> dict[str, Any]:
    """The converters' options that were given."""
    from qcore.plugin import ConverterSpec

    return given(options, ConverterSpec)


_WORDS = {"null": None, "true": True, "false": False}
"""As in JSON, and so in the contract that `qcore contract show` prints."""


def pairs(texts: Sequence[str], flag: str) -> dict[str, Any]:
    """NAME=VALUE texts as a dictionary; values are Python literals where they read as such."""
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{flag} {text!r}: expected NAME=VALUE")
        if value in _WORDS:
            values[name] = _WORDS[value]
            continue
        try:
            values[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            values[name] = value
    return values


def _heads(host: Host) -> set[str | None]:
    """Heads that converters make; a guest's only where no loader of qcore's own has an option for it."""
    from qcore.plugin import ConverterSpec, LoaderSpec, bundled

    loaders = [spec for spec in host.specs(LoaderSpec) if bundled(spec)]
    loaded = {choice for spec in loaders for option in spec.options for choice in option.choices}
    converters = host.specs(ConverterSpec)
    return {spec.produces.head for spec in converters if bundled(spec) or spec.produces.head not in loaded} - {None}


def begun(options: argparse.Namespace, host: Host) -> Recipe:
    """The recipe that the model's arguments describe."""
    from qcore.plugin import recipe

    settings = pairs(options.loader_option, "--loader-option")
    if options.imgsz:
        settings["imgsz"] = imgsz(options.imgsz)
    ending = options.head if options.head in _heads(host) else None
    given = {"batch": options.batch, "head": None if ending else options.head}
    settings |= {name: value for name, value in given.items() if value is not None}
    begun_recipe = replace(recipe(options.model, options.loader), loader_options=settings)
    begun_recipe = begun_recipe.with_preprocess(**pairs(options.preprocess, "--preprocess")).with_head(ending)
    return begun_recipe.with_conversion(**conversion(options))


def begin(options: argparse.Namespace, output: Output, host: Host) -> Run:
    """A run of the recipe that the model's arguments describe."""
    return begun(options, host).start(progress=output.progress, host=host)


def running(options: argparse.Namespace, output: Output, host: Host) -> Run:
    """The same, with the runtime's arguments."""
    from qcore.plugin import BackendSpec

    recipe = begun(options, host)
    if options.backend:
        recipe = recipe.with_backend(options.backend, **pairs(options.backend_option, "--backend-option"))
    elif options.backend_option:
        raise UsageError(
            "--backend-option needs --backend",
            hint=f"--backend one of {', '.join(s.name for s in host.specs(BackendSpec))}",
        )
    post = {"confidence": options.confidence, "iou": options.iou}
    recipe = recipe.with_parameters(
        preprocess={"rect": True} if options.rect else {},
        postprocess={name: value for name, value in post.items() if value is not None},
    )
    run = recipe.start(progress=output.progress, host=host)
    if recipe.conversion:
        refuse_unused(recipe.conversion, [run.plan()])
    return run


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


def add_model(parser: argparse.ArgumentParser, told: str = "a checkpoint or an exported file") -> None:
    """Add the model and what describes how to read it."""
    parser.add_argument("model", help=told)
    parser.add_argument("--loader", help="loader to use (default: detected from the file content)")
    parser.add_argument(
        "--imgsz", type=int, nargs="+", metavar="PX", help="input size: one number, or height and width"
    )
    parser.add_argument("--batch", metavar="N", help="batch size of the input, or dynamic")
    parser.add_argument("--head", metavar="HEAD", help="where the exported graph ends: raw, decoded (default), or nms")
    parser.add_argument(
        "--loader-option", action="append", default=[], metavar="NAME=VALUE", help="set a loader option (repeatable)"
    )
    parser.add_argument(
        "--preprocess",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="override a preprocessing parameter of the contract, for a model trained with different preprocessing "
        "(repeatable)",
    )


def add_profile(parser: argparse.ArgumentParser, told: str) -> None:
    """Add the profile that a quantized graph is written for; `--target` is what it was called before."""
    parser.add_argument("--profile", "--target", dest="profile", metavar="PROFILE", help=told)


def add_calibration(parser: argparse.ArgumentParser) -> None:
    """Add how many inputs to calibrate with, and which."""
    parser.add_argument(
        "--calib-limit", type=int, default=None, metavar="N", help="use at most N calibration inputs (default: 512)"
    )
    parser.add_argument(
        "--calib-seed",
        type=int,
        default=0,
        metavar="S",
        help="random seed for selecting calibration inputs (default: 0)",
    )


def add_limit(parser: argparse.ArgumentParser, told: str = "use at most the first N inputs") -> None:
    """Add the flag `--limit`."""
    parser.add_argument("--limit", type=int, metavar="N", help=told)


def require_positive(options: argparse.Namespace, *names: str) -> None:
    """Refuse numbers below 1; raises UsageError."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} {value} is not a positive number")


def add_strict(parser: argparse.ArgumentParser) -> None:
    """Add the flag `--strict`."""
    parser.add_argument(
        "--strict",
        action="store_true",
        help="stop with exit code 6 at the first unreadable input instead of skipping it",
    )


def add_protocol(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the flag `--protocol`.

    Args:
        parser: To add it to.
        default: What happens without it, in words.
    """
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        help="evaluation protocol of the contract, e.g. upstream, or deployed for the contract's own parameters "
        f"(default: {default})",
    )


def add_labels(parser: argparse.ArgumentParser, host: Host) -> None:
    """Add the options of all installed evaluators as flags, e.g. where the inputs of labelled data lie."""
    from qcore.plugin import EvaluatorSpec

    add_options(parser, host, EvaluatorSpec)


def labels(options: argparse.Namespace) -> dict[str, Any]:
    """The evaluators' options that were given."""
    from qcore.plugin import EvaluatorSpec

    return given(options, EvaluatorSpec)


def add_out(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the folder to write into."""
    parser.add_argument("-o", "--out", required=required, metavar="DIR", help="output directory")


def add_runtime(parser: argparse.ArgumentParser) -> None:
    """Add the runtime and what differs from the contract in this run."""
    parser.add_argument("--backend", metavar="B", help="backend to run on (default: chosen from the file format)")
    parser.add_argument(
        "--backend-option", action="append", default=[], metavar="NAME=VALUE", help="set a backend option (repeatable)"
    )
    parser.add_argument("--confidence", type=float, metavar="C", help="confidence threshold instead of the contract's")
    parser.add_argument("--iou", type=float, metavar="I", help="IoU threshold of the non-maximum suppression")
    parser.add_argument(
        "--rect",
        action="store_true",
        help="pad only to the next multiple of the stride (models that accept any input size)",
    )
