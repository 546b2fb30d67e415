"""What a library says of a file, short enough for a message."""

from __future__ import annotations

import re

LONGEST = 140
"""Characters that are kept."""
INTERNAL = re.compile(
    r"object|argument|subscript|attribute|NoneType|index|operand|iterable|codec|unpack|saved_id|id must"
)
"""Words of Python's own errors, which say nothing about a file."""


def told(error: BaseException, instead: str = "damaged") -> str:
    """The first sentence of an error, without paths of sources; `instead` where it only says how Python failed."""
    lines = str(error).strip().splitlines() or [""]
    text = re.sub(r"/\S+?:\d+ |\[ONNXRuntimeError\] : \d+ : \w+ : |\x1b\[[0-9;]*m", "", lines[0]).strip()
    text = text.partition(". ")[0].rstrip(".")
    if not text or isinstance(error, TypeError | AttributeError | KeyError | IndexError) or INTERNAL.search(text):
        return instead
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rstrip()} ..."
