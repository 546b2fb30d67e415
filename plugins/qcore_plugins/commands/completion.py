"""`qcore completion`, and the answers to a shell that asks how a word can go on."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from qcore.plugin import Host, MissingDependency, Output
from qcore_kit.kinds import ResultSpec
from qcore_kit.results import Writers

SHELLS = "bash", "zsh", "fish", "tcsh", "powershell"
NAMED = {"to": "format", "target": "backend"}
"""Arguments that take the name of a component, and its kind; others are called as the kind is."""


class Completion:
    """Prints what makes a shell complete commands, flags, names of components, and files."""

    example = "qcore completion bash"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:  # noqa: ARG002
        """The shell."""
        parser.add_argument("shell", choices=SHELLS, help="shell to print the script for")

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:  # noqa: ARG002
        """Print the script.

        Raises:
            MissingDependency: argcomplete is not installed.
        """
        try:
            from argcomplete.shell_integration import shellcode
        except ImportError as error:
            raise MissingDependency("argcomplete is not installed", hint="pip install argcomplete") from error
        script = shellcode(["qcore"], shell=options.shell)
        output.result({"shell": options.shell, "script": script}) if output.json else output.say(script)
        return 0

    def complete(self, build: Callable[[Sequence[str]], argparse.ArgumentParser]) -> None:
        """Tell the shell how the word under its cursor can go on, as argcomplete's protocol wants it, and exit.

        Args:
            build: Makes the parser for the words before that one.
        """
        from argcomplete import autocomplete
        from argcomplete.lexers import split_line

        import qcore

        words = split_line(os.environ["COMP_LINE"], int(os.environ["COMP_POINT"]))[3][1:]
        parser = build(words)
        commands = next(action.choices or {} for action in parser._actions if action.dest == "command")
        for command in (commands[word] for word in words[:1] if word in commands):  # type: ignore[index]
            for action in _actions(command):
                _complete_names(action, qcore.plugins)
        autocomplete(parser, always_complete_options="long")


def _actions(parser: argparse.ArgumentParser) -> Iterable[argparse.Action]:
    """All arguments, those of commands of its own too."""
    for action in parser._actions:
        yield action
        for own in action.choices.values() if isinstance(action, argparse._SubParsersAction) else ():
            yield from _actions(own)


def _complete_names(action: Any, host: Host) -> None:
    """An argument that is called like a kind of components is completed with their names."""
    kinds = {kind.kind: kind for kind in host.kinds()}
    kind = kinds.get(NAMED.get(action.dest, action.dest))
    if action.choices or hasattr(action, "completer"):
        return
    if action.dest == "kind":
        action.completer = lambda **_: list(kinds)
    elif action.dest == "format":
        action.completer = lambda **_: _result_formats(host)
    elif kind:
        action.completer = lambda **_: {spec.name: spec.summary for spec in host.specs(kind)}


def _result_formats(host: Host) -> list[str]:
    """What `qcore predict --format` takes, for any task."""
    made = [spec.create() for spec in host.specs(ResultSpec)]
    return sorted({"json"}.union(*(results.writers(()) for results in made if isinstance(results, Writers))))
