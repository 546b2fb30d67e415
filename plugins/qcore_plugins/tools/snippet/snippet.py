"""A script for one file that runs without qcore, put together from what its components say of themselves.

A part is the text of a Python module: the preprocessor's defines `read(path)` and `preprocess(raw)`, the backend's
`load(path)`, the postprocessor's `postprocess(outputs, place)`. Templates are real modules whose
constants are replaced.
"""

from __future__ import annotations

from typing import Any

from qcore.plugin import Host, PostprocessorSpec, PreprocessorSpec, Spec, UsageError, recipe, recognise
from qcore_kit.abilities import HasSource
from qcore_kit.scripts import filled, joined

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
    run = recipe(file).start(host=plugins)
    model = run.model("loaded")
    spec, _ = recognise(file, plugins)
    if not spec.suffix:
        raise UsageError(f"{file}: no script runs a {spec.name} file", hint=f"qcore export {file} --to onnx -o DIR")
    backend = run.backend
    if backend.snippet is None:
        raise _nothing(backend)
    contract = model.contract
    pre = plugins.get(PreprocessorSpec, contract.preprocess.component)
    post = plugins.get(PostprocessorSpec, contract.postprocess.component)
    before = pre.create(contract.preprocess.params, contract.inputs)
    after = post.create(contract.postprocess.params, contract.outputs, contract.classes)
    if not isinstance(before, HasSource):
        raise _nothing(pre)
    if not isinstance(after, HasSource):
        raise _nothing(post)
    parts = [before.source(), backend.resolve(backend.snippet)(model), after.source()]
    main = filled(f"import json\nimport sys\n{_MAIN}", {"MODEL": file, "INPUT": contract.inputs[0].name})
    return joined([*parts, main], '"""Runs the file that MODEL names; written by qcore snippet, needs no qcore."""')


def _nothing(spec: Spec[Any]) -> UsageError:
    return UsageError(
        f"{spec.kind} {spec.name} cannot generate a standalone script",
        hint="qcore predict runs the file; an .onnx, .xml or .engine file of a detector has a script",
    )
