"""What several commands do with their arguments."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Sequence
from typing import Any

from qcore.errors import UsageError
from qcore.manager import Plugins

PRECISIONS = {"fp32": "f32", "fp16": "f16"}
"""Words of the command line -> words of forms."""
_CONVERSION = "converter:"


def add_conversion(parser: argparse.ArgumentParser, plugins: Plugins) -> None:
    """Add the options of all installed converters as flags; a name that several have is one flag for all."""
    from qcore.specs import ConverterSpec

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
            group.add_argument(
                f"--{option.name.replace('_', '-')}",
                dest=f"{_CONVERSION}{option.name}",
                help=f"{option.help} ({spec.name})",
                **settings,
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
