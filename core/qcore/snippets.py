"""A script for one file that runs without qcore, put together from what its components say of themselves.

A part is the text of a Python module: the preprocessor's defines `read(path)` and `preprocess(raw)`, the backend's
`load(path)`, the postprocessor's `postprocess(outputs, place)`. Templates are real modules whose
constants are replaced.
"""

from __future__ import annotations

import ast
import pprint
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qcore.errors import UsageError
from qcore.host.plugins import Host
from qcore.host.specs import PostprocessorSpec, PreprocessorSpec, Spec
from qcore.workflow import opening as loading
from qcore.workflow.pipelines import Pipeline

_WIDTH = 110
_MAIN = '''
MODEL = None
INPUT = None


def main() -> None:
    """Print what is found in each file named on the command line, one JSON document a line."""
    run = load(MODEL)
    for path in sys.argv[1:]:
        tensor, place = preprocess(read(path))
        for found in postprocess(run({INPUT: tensor}), place):
            print(json.dumps({"input": path, **found}))


if __name__ == "__main__":
    main()
'''


def snippet(file: str, plugins: Host) -> str:
    """The script for an exported file.

    Args:
        file: The file, which the script names as it is given here.
        plugins: Where the components come from.

    Raises:
        UsageError: A component has no text to offer for this file.
        FileError: The file is damaged, or has no contract.
    """
    pipeline = Pipeline(plugins, Path(file)).load()
    model = pipeline.loaded
    assert model is not None  # noqa: S101 - load() has just set it
    spec, _ = loading.recognise(file, plugins)
    if not spec.suffix:
        raise UsageError(f"{file}: no script runs a {spec.name} file", hint=f"qcore export {file} --to onnx -o DIR")
    backend = pipeline.default_backend()
    if backend.snippet is None:
        raise _nothing(backend)
    contract = model.contract
    pre = plugins.get(PreprocessorSpec, contract.preprocess.component)
    post = plugins.get(PostprocessorSpec, contract.postprocess.component)
    before = pre.load()(contract.preprocess.params, contract.inputs)
    after = post.load()(contract.postprocess.params, contract.outputs, contract.classes)
    for part, made in ((pre, before), (post, after)):
        if not hasattr(made, "source"):
            raise _nothing(part)
    parts = [before.source(), backend.resolve(backend.snippet)(model), after.source()]
    main = filled(f"import json\nimport sys\n{_MAIN}", {"MODEL": file, "INPUT": contract.inputs[0].name})
    return joined([*parts, main], '"""Runs the file that MODEL names; written by qcore snippet, needs no qcore."""')


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


def _nothing(spec: Spec) -> UsageError:
    return UsageError(
        f"{spec.kind} {spec.name} has no text for a script of its own",
        hint="qcore predict runs the file; an .onnx, .xml or .engine file of a detector has a script",
    )
