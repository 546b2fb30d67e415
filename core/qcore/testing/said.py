"""Checks of commands."""

from __future__ import annotations

import argparse
import re
import shlex
from typing import Any, ClassVar

from qcore.cli.frame import add_common
from qcore.errors import QcoreError
from qcore.protocols import Command
from qcore.testing.conformance import Conformance


class CommandConformance(Conformance):
    """Checks of a command; it needs no examples."""

    kind: ClassVar[str] = "command"
    protocol: ClassVar[Any] = Command

    def test_help_can_be_printed(self) -> None:
        """Its arguments can be added to a parser, and the help of each can be formatted."""
        try:
            text = self._parser().format_help()
        except QcoreError:
            raise
        except Exception as error:  # noqa: BLE001 - argparse raises many things
            self.fail(f"--help fails with {type(error).__name__}: {error}", "write % in help as %%")
        for action in self._parser()._actions:
            if action.option_strings and not action.help:
                self.fail(f"{action.option_strings[-1]} has no help", "say what it does")
        if not text.strip():
            self.fail("--help is empty", "add arguments to the parser that arguments() gets")

    def test_the_example_can_be_parsed(self) -> None:
        """The line `example` is a call of this command that its own parser takes."""
        example = getattr(self.made(), "example", None)
        if example is None:
            return
        words = shlex.split(re.split(r"[|>]", example)[0])
        if words[:2] != ["qcore", self.spec.name]:
            self.fail(f"the example is {example!r}", f"begin it with qcore {self.spec.name}")
        try:
            self._parser().parse_args(words[2:])
        except (SystemExit, argparse.ArgumentError) as error:
            self.fail(f"the example {example!r} cannot be parsed ({error})", "correct it: users will copy it")

    def _parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(prog=f"qcore {self.spec.name}", exit_on_error=False, conflict_handler="error")
        self.made().arguments(parser, self.host)
        add_common(parser)
        return parser
