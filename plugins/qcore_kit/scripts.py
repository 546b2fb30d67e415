"""Texts of scripts: templates are real modules whose constants are replaced."""

from __future__ import annotations

import ast
import pprint
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_WIDTH = 110


def template(path: Path, values: Mapping[str, Any]) -> str:
    """The text of a template with these values of its constants."""
    return filled(path.read_text(encoding="utf-8"), values)


def filled(text: str, values: Mapping[str, Any]) -> str:
    """A module with other values of the constants at its top level; their comments stay.

    Raises:
        KeyError: There is no such constant.
    """
    lines = text.splitlines()
    places = {
        node.targets[0].id: node
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for name, value in sorted(values.items(), key=lambda pair: -places[pair[0]].lineno):
        node = places[name]
        last = (node.end_lineno or node.lineno) - 1
        comment = lines[last][node.end_col_offset :]
        shown = pprint.pformat(value, width=_WIDTH, compact=True).splitlines()
        lines[node.lineno - 1 : last + 1] = f"{name} = {shown[0]}".splitlines() + shown[1:]
        lines[node.lineno - 1 + len(shown) - 1] += comment
    return "\n".join(lines) + "\n"


def joined(parts: Sequence[str], title: str) -> str:
    """Modules as one: a title, all imports, then constants and functions in their order."""
    imports: set[str] = set()
    bodies = []
    for text in parts:
        lines: list[str | None] = [*text.splitlines()]
        for node in ast.parse(text).body:
            imported = isinstance(node, (ast.Import, ast.ImportFrom))
            if imported:
                imports.add(ast.unparse(node))
            if imported or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.lineno == 1):
                lines[node.lineno - 1 : node.end_lineno] = [None] * ((node.end_lineno or node.lineno) - node.lineno + 1)
        bodies.append("\n".join(line for line in lines if line is not None).strip())
    standard = sorted(line for line in imports if line.split()[1] in {"json", "math", "sys"})
    others = sorted(imports - set(standard))
    return "\n".join([title, "", *standard, "", *others, "", "\n\n\n".join(bodies)]) + "\n"
