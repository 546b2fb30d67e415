"""`qcore contract attach`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from qcore.plugin import (
    AssumptionWarning,
    Contract,
    FileError,
    Host,
    LoaderSpec,
    Model,
    Opened,
    PostprocessorSpec,
    PreprocessorSpec,
    Tensor,
    UsageError,
    load_opened,
    only,
    open_file,
    prepared_content,
    publish,
    read_text,
    sha256,
)
from qcore_kit.detectors.exported import describe_exported


def attach(
    plugins: Host,
    source: Path,
    directory: Path,
    *,
    document: str | None = None,
    family: str | None = None,
    names: str | None = None,
    imgsz: Any = None,
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
        family: Or the loader whose outputs and preprocessing the file follows; without either, the loader of such
            files finds out.
        names: File with class names; by default those that the exported file holds.
        imgsz: Height and width of a dynamic input.
        preprocess: Parameters of the preprocessor that differ from the family's.
        in_place: Whether the file itself may be replaced.

    Raises:
        FileError: The contract does not fit the graph, or what the graph gives is not what it says.
        UsageError: The format keeps no contract, or the loader cannot describe exported files.
    """
    if not in_place and (directory / source.name).resolve() == source.resolve():
        raise UsageError(f"{source}: would be overwritten", hint="choose a different -o DIR, or pass --in-place")
    opened = open_file(source, plugins)
    if not opened.spec.suffix:
        raise UsageError(
            f"{source}: a {opened.spec.name} file cannot hold a contract",
            hint=f"qcore export {source} --to onnx -o DIR",
        )
    inputs, outputs = opened.format.signature(prepared_content(opened))
    if document:
        contract = Contract.from_json(read_text(document), source=document)
    else:
        contract = _recognised(opened, plugins, family, names, imgsz)
        provenance = {
            "family": family or contract.provenance.get("family"),
            "source": {"file": source.name, "sha256": sha256(source)},
        }
        contract = replace(contract, provenance={**contract.provenance, **provenance})
    contract = replace(contract, preprocess=contract.preprocess.updated(preprocess or {}))
    check(contract, inputs, outputs, source)
    plugins.get(PreprocessorSpec, contract.preprocess.component).create(contract.preprocess.params, contract.inputs)
    plugins.get(PostprocessorSpec, contract.postprocess.component).create(
        contract.postprocess.params, contract.outputs, contract.classes
    )
    model = Model(opened.format.form(opened.content), opened.content, contract, {})
    return publish(directory, lambda staging: opened.format.write(model, staging / source.name))


def _recognised(opened: Opened, plugins: Host, family: str | None, names: str | None, imgsz: Any) -> Contract:
    """The contract that the loader of such files finds; that of the family alone where there is no such loader."""
    format_name = opened.spec.name
    specs = [spec for spec in plugins.specs(LoaderSpec) if spec.format == format_name and not spec.problems()]
    able = [spec for spec in specs if "family" in {option.name for option in spec.options}]
    spec = only(able, what=f"recognise heads of {format_name} files")
    if spec is None:
        if family is None:
            raise UsageError(f"{opened.path}: nothing recognises the head of a {format_name} file", hint="add --family")
        lines = [line.strip() for line in read_text(names).splitlines() if line.strip()] if names else None
        described: Contract = describe_exported(
            family, *opened.format.signature(opened.content), names=lines, plugins=plugins
        )
        return described
    given = {"family": family, "names": names, "imgsz": imgsz}
    model = load_opened(
        opened, spec, spec.settings({name: value for name, value in given.items() if value is not None})
    )
    if "assumed" in model.notes:
        warnings.warn(f"{opened.path}: assumed: {model.notes['assumed']}", AssumptionWarning, stacklevel=2)
    result: Contract = model.contract
    return result


def check(contract: Contract, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], source: Path) -> None:
    """Refuse a contract whose tensors are not those of the file.

    Raises:
        FileError: A name or a fixed size differs.
    """
    if not contract.inputs or not contract.outputs:
        raise FileError(f"{source}: the contract names no inputs or no outputs")
    for kind, expected, actual in (("input", contract.inputs, inputs), ("output", contract.outputs, outputs)):
        there = {tensor.name: tensor for tensor in actual}
        for tensor in expected:
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
