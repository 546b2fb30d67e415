"""What several commands do with their arguments."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from qcore.errors import UsageError


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
