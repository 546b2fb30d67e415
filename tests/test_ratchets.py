"""What the shape of the code may come to: each limit is what was reached, and may only fall."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE, KIT, PLUGINS, CONTRIB = (
    ROOT / part for part in ("core", "plugins/qcore_kit", "plugins/qcore_plugins", "contrib")
)

LINES = 4500
"""Of core/qcore, without `testing`."""
CIRCLES = 0
"""Groups of modules that import one another."""
PRIVATE = 0
"""Imports of the core's private modules by the kit, plugins and contrib."""
SPECIFIC = 13
"""Lines of core that name a framework, a runtime, a family, or what a picture has."""
BETWEEN = 0
"""Imports of one plugin by another."""

WORDS = re.compile(
    r"yolo|torch|onnx|openvino|tensorrt|nncf|picture|image|\bbox(es)?\b|detect|letterbox|coco|cuda", re.IGNORECASE
)
PUBLIC = {"qcore", "qcore.plugin", "qcore.testing"}
KINDS = ("families", "quantizers", "runtimes", "formats", "processing", "tasks", "tools")


def sources(*folders):
    return [path for folder in folders for path in sorted(folder.rglob("*.py")) if "tests" not in path.parts]


def imported(path):
    """(module, name) of every import, the name empty for a plain one."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


def module(path, root):
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def plugin_of(name):
    """The folder of a plugin that a module lies in, or None."""
    parts = name.split(".")
    if parts[0] != "qcore_plugins" or len(parts) < 2:
        return None
    return ".".join(parts[:3]) if parts[1] in KINDS else parts[1] if parts[1] == "commands" else None


def held(count, limit, listed):
    """No more than the limit; who gets below writes the new one down."""
    assert count <= limit, "\n".join([f"{count}, the limit is {limit}", *listed])


def test_lines_of_core():
    counted = {path: len(path.read_text().splitlines()) for path in sources(CORE / "qcore")}
    lines = {path: number for path, number in counted.items() if "testing" not in path.parts}
    held(sum(lines.values()), LINES, [])


def test_core_names_nothing_specific():
    named = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sources(CORE / "qcore")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if WORDS.search(line)
    ]
    held(len(named), SPECIFIC, named)


def test_private_imports():
    private = [
        f"{path.relative_to(ROOT)}: {source} {name}"
        for path in sources(KIT, PLUGINS, CONTRIB)
        for source, name in imported(path)
        if source.split(".")[0] == "qcore" and source not in PUBLIC
    ]
    private += [
        f"{path.relative_to(ROOT)}: {source} {name}"
        for path in sources(KIT, PLUGINS, CONTRIB)
        for source, name in imported(path)
        if source == "qcore" and name in {path.stem for path in CORE.glob("qcore/*.py")} - {"plugin"}
    ]
    held(len(private), PRIVATE, private)


def test_contrib_imports_nothing_bundled():
    inside = [
        f"{path}: {source}" for path in sources(CONTRIB) for source, _ in imported(path) if "qcore_plugins" in source
    ]
    assert not [line for line in inside if "demo-detector" not in line]


def test_plugins_import_no_other_plugin():
    between = []
    for path in sources(PLUGINS):
        own = plugin_of(module(path, ROOT / "plugins"))
        for source, name in imported(path):
            other = plugin_of(f"{source}.{name}" if name else source)
            if own and other and other != own:
                between.append(f"{own} -> {source}.{name}")
    held(len(between), BETWEEN, between)


def test_circles():
    grimp = pytest.importorskip("grimp", reason="import-linter brings it")
    import networkx

    graph = grimp.build_graph("qcore", "qcore_kit", "qcore_plugins", cache_dir=None, exclude_type_checking_imports=True)
    arrows = networkx.DiGraph((a, b) for a in graph.modules for b in graph.find_modules_directly_imported_by(a))
    circles = [sorted(group) for group in networkx.strongly_connected_components(arrows) if len(group) > 1]
    held(len(circles), CIRCLES, [", ".join(group) for group in circles])
