"""`qcore contract attach`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from qcore.contract import Contract, Tensor
from qcore.errors import FileError, UsageError
from qcore.files import publish, read_text, sha256
from qcore.loading import describe, open_file
from qcore.manager import Plugins
from qcore.model import Model
from qcore.specs import PostprocessorSpec, PreprocessorSpec


def attach(
    plugins: Plugins,
    source: Path,
    directory: Path,
    *,
    document: str | None = None,
    family: str | None = None,
    names: tuple[str, ...] | None = None,
    preprocess: Mapping[str, Any] | None = None,
    in_place: bool = False,
) -> list[Path]:
    """Write the file with a contract inside it into `directory`; the graph is not changed.

    Returns the files written, the main one last.

    Args:
        plugins: Where formats and loaders come from.
        source: An exported file.
        directory: Where the copy goes; the file's own folder replaces it.
        document: Path of a contract as JSON.
        family: Or the loader whose conventions the file follows.
        names: Class names.
        preprocess: Parameters of the preprocessor that differ from the family's.
        in_place: Whether the file itself may be replaced.

    Raises:
        FileError: The contract does not fit the graph.
        UsageError: The format keeps no contract, or the loader cannot describe exported files.
    """
    if not in_place and (directory / source.name).resolve() == source.resolve():
        raise UsageError(f"{source} would be overwritten", hint="choose another -o DIR, or say --in-place")
    opened = open_file(source, plugins)
    if not opened.spec.suffix:
        raise UsageError(
            f"{source}: a {opened.spec.name} file, only exported files carry a contract", hint=f"qcore export {source}"
        )
    inputs, outputs = opened.format.signature(opened.content)
    if document:
        contract = Contract.from_json(read_text(document), source=document)
    else:
        contract = describe(str(family), inputs, outputs, names=names, plugins=plugins)
        said = {"family": family, "source": {"file": source.name, "sha256": sha256(source)}}
        contract = replace(contract, provenance={**contract.provenance, **said})
    contract = replace(contract, preprocess=contract.preprocess.updated(preprocess or {}))
    check(contract, inputs, outputs, source)
    plugins.get(PreprocessorSpec, contract.preprocess.component).load()(contract.preprocess.params, contract.inputs)
    plugins.get(PostprocessorSpec, contract.postprocess.component).load()(
        contract.postprocess.params, contract.outputs, contract.classes
    )
    model = Model(opened.format.form(opened.content), opened.content, contract, {})
    return publish(directory, lambda staging: opened.format.write(model, staging / source.name))


def check(contract: Contract, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], source: Path) -> None:
    """Refuse a contract whose tensors are not those of the file.

    Raises:
        FileError: A name or a fixed size differs.
    """
    if not contract.inputs or not contract.outputs:
        raise FileError(f"{source}: the contract names no inputs or no outputs")
    for kind, said, found in (("input", contract.inputs, inputs), ("output", contract.outputs, outputs)):
        there = {tensor.name: tensor for tensor in found}
        for tensor in said:
            if tensor.name not in there:
                raise FileError(
                    f"{source}: the contract's {kind} {tensor.name} is not in the file, which has {', '.join(there)}"
                )
            shape = there[tensor.name].shape
            differs = len(shape) != len(tensor.shape) or any(
                isinstance(a, int) and isinstance(b, int) and a != b for a, b in zip(shape, tensor.shape, strict=False)
            )
            if differs:
                raise FileError(
                    f"{source}: {kind} {tensor.name} is {list(shape)} in the file "
                    f"and {list(tensor.shape)} in the contract"
                )
