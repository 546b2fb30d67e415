"""What commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import json as jsonlib
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from qcore.errors import QcoreError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

T = TypeVar("T")

WIDE, MANY = 240, 6
"""Letters of a line that nobody looks at, and columns of a table whose text is folded in a narrow terminal."""
EVERY = 10
"""Seconds between lines of progress where no terminal shows it."""


@dataclass
class Output:
    """Where a command's words go. With `--json`, standard output is one JSON document and nothing else.

    `quiet` hides progress and remarks, `debug` shows tracebacks, `silent` says nothing but errors.
    """

    json: bool = False
    quiet: bool = False
    debug: bool = False
    silent: bool = False

    def console(self, *, error: bool = False) -> Console:
        """A rich console on standard output, or on standard error."""
        from rich.console import Console

        shown = (sys.stderr if error else sys.stdout).isatty()
        return Console(stderr=error, highlight=False, width=None if shown else WIDE)

    def result(self, document: Any) -> None:
        """Print the JSON document of `--json`."""
        from qcore.words import plain

        self._print(jsonlib.dumps(plain(document), indent=2, ensure_ascii=False))

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Print a table; one of many columns that is wider than the terminal as a list for each row."""
        from rich.table import Table
        from rich.text import Text

        style: Any = {"box": None, "padding": (0, 2, 0, 0), "pad_edge": False, "header_style": "bold"}
        table = Table(title=title or None, title_justify="left", show_header=any(columns), **style)
        cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in cells:
            table.add_row(*map(Text, row))
        console = self.console()
        widths = [max(map(len, each)) for each in zip(columns, *cells, strict=True)]
        if len(columns) > MANY and sum(widths) + 2 * len(widths) - 2 > console.width:
            for row in cells:
                self.table(title, ("", ""), list(zip(columns, row, strict=True)))
                self._print("")
            return
        with console.capture() as captured:
            console.print(table)
        self._print("\n".join(line.rstrip() for line in captured.get().splitlines()))

    def say(self, message: str) -> None:
        """A line of the result; silent under `--json`."""
        if not self.json:
            self._print(message)

    def _print(self, text: str) -> None:
        if not self.silent:
            _write(self.results, text)

    @property
    def results(self) -> TextIO:
        """Where results go: standard output, or what it was when `alone` began."""
        return _results[-1] if _results else sys.stdout

    def note(self, message: str) -> None:
        """A remark on standard error; silent under `--quiet`."""
        if not self.quiet:
            _write(sys.stderr, message)

    def warn(self, message: str) -> None:
        """What was asked for and is not in the result; on standard error, also under `--quiet`."""
        _write(sys.stderr, message)

    def error(self, error: QcoreError) -> None:
        """One line that says what is wrong, one that says what to do; with `--json` the document says it, too."""
        with suppress(OSError):  # standard output may be what is full
            if self.json:
                self.result({"error": error.message, "hint": error.hint, "code": error.code})
        _write(sys.stderr, f"qcore: error: {error.message}" + (f"\n  hint: {error.hint}" if error.hint else ""))

    @property
    def progress(self) -> Bars:
        """Progress bars on standard error."""
        return Bars(self)


_results: list[TextIO] = []


@contextmanager
def alone() -> Iterator[None]:
    """Standard output is for results alone: what plugins and their libraries print goes to standard error."""
    sys.stdout.flush()
    copy = os.dup(1) if sys.stdout is sys.__stdout__ else None
    _results.append(sys.stdout if copy is None else open(copy, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    if copy is not None:
        os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
        _results[-1].flush()
    finally:
        written = _results.pop()
        if copy is not None:
            os.dup2(copy, 1)
            with suppress(OSError):
                written.close()


class Bars:
    """A `Progress` drawn by rich on a terminal; without one, a line now and then."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def track(self, items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
        """Yield the items behind a bar that shows count, rate and remaining time, and goes away at the end.

        Without a terminal, a line says count and rate after ten seconds, and again every ten, later every sixty.
        """
        began = told = time.monotonic()
        with self._bar(description, total) if self._shown else nullcontext() as bar:
            for count, item in enumerate(items, 1):
                yield item
                now = time.monotonic()
                rate = f"{count / (now - began):.3g}/s" if now > began else ""
                if bar:
                    bar.update(bar.task_ids[0], completed=count, rate=rate)
                elif now - told >= min(max(EVERY, (now - began) / 10), 6 * EVERY):
                    told = now
                    self.say(f"{description}: {count:,}{f' of {total:,}' if total else ''}, {rate}")

    def _bar(self, description: str, total: int | None) -> RichProgress:
        from rich import progress

        count = progress.MofNCompleteColumn(), progress.TextColumn("{task.fields[rate]}")
        columns = "{task.description}", progress.BarColumn(), *count, progress.TimeRemainingColumn()
        # rich would send what is printed meanwhile to the bar's console: wrong where standard output is a file
        settings: dict[str, Any] = {"transient": True, "redirect_stdout": sys.stdout.isatty()}
        bar = progress.Progress(*columns, console=self._output.console(error=True), **settings)
        bar.add_task(description, total=total, rate="")
        return bar

    @contextmanager
    def step(self, description: str) -> Iterator[None]:
        """A spinner that goes away at the end; without a terminal, a line if it takes ten seconds."""
        if self._shown:
            with self._output.console(error=True).status(description):
                yield
            return
        timer = threading.Timer(EVERY, self.say, (f"{description} ...",))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    @property
    def _shown(self) -> bool:
        return not self._output.quiet and sys.stderr.isatty()

    def say(self, message: str) -> None:
        """A line on standard error."""
        self._output.note(message)


def _write(stream: TextIO, text: str) -> None:
    """A line; bytes of file names that are no UTF-8 are escaped, as JSON reads them back."""
    with suppress(OSError) if stream is sys.stderr else nullcontext():  # nobody is left to tell
        stream.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
