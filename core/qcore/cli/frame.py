"""The parser: what every command has, `list-plugins`, and the commands that plugins bring."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import qcore
from qcore.cli.listing import ListPlugins
from qcore.errors import UsageError
from qcore.host.choice import as_spec
from qcore.host.plugins import Host
from qcore.host.specs import CommandSpec
from qcore.words import meant


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are `UsageError`s; flags are taken in full only, and of two alike the later holds."""

    flags: Sequence[str] = ()

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "allow_abbrev": False, "conflict_handler": "resolve"})

    def error(self, message: str) -> NoReturn:
        if "unrecognized" in message:
            message += meant(message.split()[2].partition("=")[0], self.flags)
            raise UsageError(message, hint=f"{self.prog} --help; qcore list-plugins shows plugins that do not load")
        raise UsageError(message, hint=f"{self.prog} --help")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The parsed arguments; `run` is the function of the command, `argv` the arguments as they were typed.

    Raises:
        UsageError: An unknown command or flag, or a bad value.
    """
    if "_ARGCOMPLETE" in os.environ:  # a shell asks how a word can go on
        completion: Any = qcore.plugins.get(CommandSpec, "completion").create()
        completion.complete(build)
    return build(argv).parse_args(argv, argparse.Namespace(argv=tuple(argv)))


def build(argv: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The whole parser; of the commands, only the one that is called is asked for its arguments.

    One with `actions = True` has commands of its own for arguments, and gives each of those the common flags.
    """
    style = _formatter(argv)
    parser = _Parser(
        prog="qcore", description="Quantize trained models to INT8 and verify the result.", formatter_class=style
    )
    parser.add_argument("--version", action="version", version=f"qcore {qcore.__version__}", help="print the version")
    host = Host(entry_points=False) if "--no-plugins" in argv else qcore.plugins
    own = as_spec(ListPlugins, CommandSpec)
    commands = {own.name: own}
    called = argv[0] if argv else None
    if called not in commands:
        for spec in host.specs(CommandSpec):  # qcore's own first
            commands.setdefault(spec.name, spec)
        if called and not called.startswith("-") and called not in commands:
            left_out = "--no-plugins leaves those of plugins out, " if "--no-plugins" in argv else ""
            raise UsageError(
                f"there is no command {called}{meant(called, commands)}",
                hint=f"{left_out}qcore --help shows all, qcore list-plugins what is disabled or broken",
            )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)
    for name, spec in sorted(commands.items()):
        summary = spec.summary.replace("%", "%%")  # of a description, argparse fills in the program's name alone
        added: argparse.ArgumentParser = subparsers.add_parser(
            name, help=summary, description=summary if "%(" in spec.summary else spec.summary, formatter_class=style
        )
        if name == called:
            (command := spec.create()).arguments(added, host)
            parser.flags = [*added._option_string_actions]
            added.set_defaults(run=lambda options, output, run=command.run: run(options, output, host))
            added.epilog = f"example: {getattr(command, 'example', f'qcore {name}')}"
            if not getattr(command, "actions", False):
                add_common(added)
    return parser


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every command has."""
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument("--quiet", action="store_true", help="hide progress and notes")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.add_argument("--no-plugins", action="store_true", help="ignore installed plugins, bundled ones too")


def _formatter(argv: Sequence[str]) -> Any:
    """Coloured help where help is asked for: importing rich costs more than most commands take to start."""
    if sys.stdout.isatty() and (not argv or {"-h", "--help"} & set(argv)):
        from rich_argparse import RawDescriptionRichHelpFormatter

        return RawDescriptionRichHelpFormatter
    return argparse.RawDescriptionHelpFormatter
