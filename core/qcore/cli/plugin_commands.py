"""Commands that plugins add."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from qcore.host.specs import CommandSpec


def add(command: Callable[..., argparse.ArgumentParser], argv: Sequence[str]) -> None:
    """Add every command of a plugin; the target of the one that is called is imported for its arguments.

    A target has `arguments(parser)` and `run(options, output) -> int | None`, and may have `example`.
    """
    import qcore

    for spec in qcore.plugins.specs(CommandSpec):
        if argv and argv[0] == spec.name:
            made = spec.create()
            made.arguments(
                command(spec.name, spec.summary, made.run, example=getattr(made, "example", f"qcore {spec.name}"))
            )
        else:
            command(spec.name, spec.summary, _unreachable, example=f"qcore {spec.name}")


def _unreachable(*_: Any) -> int:
    raise AssertionError("the parser is built anew for each call, with the command that is called")
