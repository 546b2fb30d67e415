"""What several commands do with their arguments."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qcore.errors import UsageError
from qcore.host.plugins import Host
from qcore.machine import CPUS, THIS
from qcore.workflow.planner import Plan

PRECISIONS = {"fp32": "f32", "fp16": "f16"}
"""Words of the command line -> words of forms."""
_CONVERSION = "converter:"


def add_conversion(parser: argparse.ArgumentParser, plugins: Host) -> None:
    """Add the options of all installed converters as flags; a name that several have is one flag for all."""
    from qcore.host.specs import ConverterSpec

    group = parser.add_argument_group("conversion")
    done: set[str] = set()
    for spec in plugins.specs(ConverterSpec):
        for option in spec.options:
            if option.name in done:
                continue
            done.add(option.name)
            settings: dict[str, Any] = {"metavar": option.name.rpartition("_")[2].upper(), "default": None}
            if option.type is bool:
                settings = {"action": "store_true", "default": None}
            flag = f"--{option.name.replace('_', '-')}"
            if flag not in parser._option_string_actions:  # a command's own flag goes before a plugin's
                told = f"{option.help} ({spec.name})".replace("%", "%%")
                group.add_argument(flag, dest=f"{_CONVERSION}{option.name}", help=told, **settings)


def refuse_unused(conversion: Mapping[str, Any], plans: Iterable[Plan]) -> None:
    """Refuse converters' options that no step takes.

    Raises:
        UsageError: Names them.
    """
    taken = {option.name for plan in plans for leg in plan.legs for option in leg.spec.options}
    if strange := sorted(set(conversion) - taken):
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in strange)
        raise UsageError(f"{flags}: no step on the way takes it", hint="qcore plan shows the steps")


def add_benchmark(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `qcore benchmark`."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="model files; the others are compared with the first")
    parser.add_argument(
        "--backend",
        action="append",
        default=[],
        metavar="B",
        help="runtime: one for all files, or one for each in order",
    )
    parser.add_argument(
        "--mode",
        choices=("latency", "throughput"),
        default="latency",
        help="one call after another, or several at once",
    )
    parser.add_argument("--requests", type=int, metavar="N", help="sessions at once (default: as many as cores)")
    parser.add_argument("--data", metavar="DIR", help="real inputs, read before timing; one made-up input without it")
    parser.add_argument("--limit", type=int, default=16, metavar="N", help="at most N of them (default 16)")
    parser.add_argument(
        "--precision",
        choices=("f32", "auto"),
        default="f32",
        help="what is not quantized computes in float32 (default), or in what the runtime chooses",
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads of each session, where the runtime can be told"
    )
    parser.add_argument("--rounds", type=int, default=30, metavar="N", help="turns of each file (default 30)")
    parser.add_argument(
        "--launches", type=int, default=5, metavar="N", help="start the processes anew so often (default 5)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the order of turns (default 0)")


def add_cpu(parser: argparse.ArgumentParser, told: str) -> None:
    """Add the flag `--cpu`; the text says what is answered for that kind of CPU."""
    parser.add_argument(
        "--cpu", choices=CPUS, default=THIS, help=f"{told}: avx2 (any x86 CPU without VNNI), vnni, or this (default)"
    )


def add_report(parser: argparse.ArgumentParser) -> None:
    """Add the flag `--report DIR`; `qcore.cli.reporting` does what it says."""
    parser.add_argument(
        "--report", metavar="DIR", help="write report.html, a page that stands for itself, and report.json"
    )


def conversion(options: argparse.Namespace) -> dict[str, Any]:
    """The converters' options that were given."""
    return {
        name.removeprefix(_CONVERSION): value
        for name, value in vars(options).items()
        if name.startswith(_CONVERSION) and value is not None
    }


def pairs(texts: Sequence[str], flag: str) -> dict[str, Any]:
    """NAME=VALUE texts as a dictionary; values are Python literals where they read as such."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{flag} {text!r}: NAME=VALUE is wanted")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found
