"""`qcore list-plugins`; its table is laid out without rich: it is the command that has to be quick."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence

from qcore.cli.console import Output
from qcore.host.plugins import Host
from qcore.host.specs import CommandSpec

COLUMNS = ("kind", "name", "plugin", "version", "distribution", "api", "status", "hint")
_COLOURS = {"missing": "33", "conflict": "33", "broken": "31", "incompatible": "31", "disabled": "2"}


class ListPlugins:
    """Lists components and plugins."""

    spec = CommandSpec(
        name="list-plugins", summary="list all components, the plugin each one comes from, and missing packages"
    )
    example = "qcore list-plugins --json"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:  # noqa: ARG002
        """The kind."""
        parser.add_argument("--kind", help="only components of this kind")

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """All, or those of a kind."""
        rows = [row for row in host.rows() if options.kind in (None, row["kind"])]
        output.result(rows) if output.json else output.say(render(rows, [kind.kind for kind in host.kinds()]))
        return 0


def render(rows: Sequence[dict[str, str]], kinds: Sequence[str]) -> str:
    """Rows as text, by kind; what is usable shows its summary in the last column, the rest how to mend it."""
    rows = sorted(rows, key=lambda row: kinds.index(row["kind"]) if row["kind"] in kinds else len(kinds))
    cells = [
        [row[column] for column in COLUMNS[:-1]] + [row["hint"] if row["status"] != "ok" else row["summary"]]
        for row in rows
    ]
    head = [column.upper() for column in COLUMNS[:-1]] + ["SUMMARY OR HINT"]
    widths = [max(len(row[index]) for row in [head, *cells]) for index in range(len(head))]
    terminal = sys.stdout.isatty()
    room = shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * (len(head) - 1) if terminal else None
    lines = []
    for row in [head, *cells]:
        last = row[-1]
        if room is not None and len(last) > room and row[-2] == "ok":  # a hint is never cut
            last = last[: room - 1] + "…" if room > 20 else ""
        line = "  ".join([cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)] + [last]).rstrip()
        colour = _COLOURS.get(row[-2]) if terminal else None
        lines.append(f"\x1b[{colour}m{line}\x1b[0m" if colour else line)
    return "\n".join(lines)
