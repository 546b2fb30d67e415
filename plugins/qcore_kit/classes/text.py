"""Class names that stand in text: metadata of exported files, and files that people write."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qcore.plugin import FileError, read_text
from qcore_kit.classes.reading import class_names

WRAPPERS = {"array", "OrderedDict", "dict", "list", "tuple", "defaultdict"}
"""Names that Python prints around containers; only what stands inside them is read."""


def parsed(text: str) -> Any:
    """The list or map in a text: of Python, of JSON, or one name a line or between commas.

    Nothing of the text is executed: what a NumPy number or an ordered map prints around its value is taken off.

    Raises:
        ValueError: Brackets around something that is neither.
    """
    text = text.strip()
    if not text:
        return None
    if text[0] not in "[{(" and not re.match(r"[A-Za-z_.]+\(", text):
        return [name.strip() for name in (text.splitlines() if "\n" in text else text.split(","))]
    try:
        tree = _Bare().visit(ast.parse(text, mode="eval"))
        return ast.literal_eval(tree)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{text[:40]!r} is neither a list nor a map") from error


class _Bare(ast.NodeTransformer):
    """Calls as `repr` writes them, replaced by what stands inside: `np.int64(3)`, `array(['a'])`."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """The first argument that is no type."""
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        numpy = isinstance(owner, ast.Name) and owner.id in ("np", "numpy")
        arguments = [part for part in node.args if not isinstance(part, (ast.Name, ast.Attribute))]
        return arguments[0] if arguments and (numpy or name in WRAPPERS) else node


def from_file(path: str | Path) -> list[str]:
    """Names from a file that a person gives: one a line, or YAML or JSON that holds them, under `names` or alone.

    Raises:
        FileError: The file is absent or holds no names, or a line between names is empty.
    """
    text = read_text(path).removeprefix("\ufeff")
    if Path(path).suffix.lower() in {".yaml", ".yml", ".json"}:
        return class_names(_document(text, str(path)), str(path))
    lines = [line.strip() for line in text.rstrip().splitlines()]
    if "" in lines:
        raise FileError(
            f"{path}: line {lines.index('') + 1} is empty, so the classes behind it would get other numbers",
            hint="write one name a line",
        )
    return class_names(lines, str(path))


def _document(text: str, file: str) -> Any:
    import yaml

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise FileError(f"{file}: not YAML or JSON ({str(error).splitlines()[0]})") from error
    value = document.get("names", document.get("categories", document)) if isinstance(document, Mapping) else document
    if not value:
        raise FileError(f"{file}: holds no class names", hint="they stand under the key names")
    return value
