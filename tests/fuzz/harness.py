"""Runs commands on damaged files and sorts what came of it."""

import contextlib
import io
import re
import traceback
import warnings
from collections import Counter

from qcore.cli import main

LONGEST = 300
"""Characters of a message."""
INTERNALS = re.compile(
    r"NoneType|object is not|has no attribute|Traceback|unexpected keyword|not subscriptable|unhashable|"
    r"index out of range|positional argument|not supported between|_rebuild_|unsupported operand|<class |"
    r"failed in \w+ \("
)
"""Words of Python's own errors, and of the border's, which blames a plugin for a damaged file."""


def tried(kind, cases):
    """What came of each case.

    Args:
        kind: As of `fuzzed.kinds`.
        cases: Damaged content and a command each.

    Returns:
        Counts by outcome, and one example of every fault: (what, line or place).
    """
    counts, faults = Counter(), {}
    for number, (content, command) in enumerate(cases):
        kind.file.parent.mkdir(parents=True, exist_ok=True)
        kind.file.write_bytes(content)
        out, err = io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                code = main(list(command))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever escapes is what is looked for
            place = traceback.extract_tb(error.__traceback__)[-1]
            counts["traceback"] += 1
            said = f"{type(error).__name__}: {str(error)[:100]} at {place.filename}:{place.lineno}"
            faults.setdefault(("traceback", command[0], said), number)
            continue
        counts["refused" if code else "read"] += 1
        line = next((line for line in err.getvalue().splitlines() if line.startswith("qcore: error")), "")
        if code and INTERNALS.search(line):
            counts["internals"] += 1
            faults.setdefault(("internals", command[0], line[:400]), number)
        if len(line) > LONGEST + len("qcore: error: "):
            counts["long"] += 1
            faults.setdefault(("long", command[0], line[:400]), number)
    if kind.file.with_suffix("").name == "a" and kind.file.parent.name == "whole":
        kind.file.write_bytes(kind.whole)
    return counts, faults
