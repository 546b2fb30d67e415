"""The command line. `qcore.cli.main(argv)` is the entry; it returns the exit code."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from qcore.cli.console import Output, alone
from qcore.errors import AssumptionWarning, FileError, QcoreError

__all__ = ["main"]

INTERRUPTED, TERMINATED = 130, 143


class Terminated(KeyboardInterrupt):
    """The process was asked to end, e.g. by `docker stop` or a scheduler; cleans up as Ctrl-C does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; those of the process by default.

    Returns:
        0, or the code of the error (see `qcore.errors`), or 130 after Ctrl-C, 143 after SIGTERM.
    """
    for name in ("stdin", "stdout", "stderr"):  # closed: nothing else may get its number, and nobody reads
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: PTH123, SIM115
    from qcore.cli.frame import parse

    arguments = list(sys.argv[1:] if argv is None else argv)
    silent = os.environ.get("RANK", "0") != "0"  # torchrun starts the command several times over: the first one speaks
    output = Output("--json" in arguments, silent or "--quiet" in arguments, "--debug" in arguments, silent)
    try:
        try:
            with alone() if output.json else nullcontext():
                options = parse(arguments)
                with _ending(), _told(output):
                    return int(options.run(options, output) or 0)
        finally:
            sys.stdout.flush()
    except QcoreError as error:
        if output.debug:
            raise
        output.error(error)
        return error.code
    except KeyboardInterrupt as stop:
        output.note(f"interrupted; {str(stop) or 'nothing is half-written'}")
        return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        output.error(FileError(f"{where}{error.strerror}", hint="free some space; TMPDIR is for temporary files"))
        try:
            sys.stdout.flush()
        except OSError:  # what is left for it goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FileError.code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2


@contextmanager
def _ending() -> Iterator[None]:
    """Lets SIGTERM end a command as Ctrl-C does, unless somebody has decided otherwise: what is half-written goes."""
    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def stop(*_: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would end the cleaning up
        raise Terminated

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _told(output: Output) -> Iterator[None]:
    """Assumptions are remarks of one line, each said once; other warnings are shown as ever."""
    shown: set[str] = set()
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if not issubclass(category, AssumptionWarning):
            usual(message, category, *place, **more)
        elif str(message) not in shown:
            shown.add(str(message))
            output.note(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("always", AssumptionWarning)
        warnings.showwarning = show
        yield
