"""The format `ncnn`: a .param and a .bin file as ncnn reads them, and the contract in a file beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from qcore.plugin import Contract, FileError, Form, Model, Tensor
from qcore_kit.told import told
from qcore_ncnn.layers import MAGIC, Layer, Shape, bin_bytes, calibration_table, param_text, read, shapes

SIDECAR = ".qcore.json"


@dataclass(frozen=True)
class NcnnModel:
    """Layers with their weights.

    Attributes:
        layers: In the order in which they run.
        blobs: Input or output of the contract -> ncnn's name of it.
        facts: How it was made.
        contract: Of the file; None before one is written.
        form: Of the file; likewise.
    """

    layers: Sequence[Layer] = field(repr=False)
    blobs: Mapping[str, str]
    facts: Mapping[str, Any] = field(default_factory=dict)
    contract: Contract | None = None
    form: Form | None = None

    @property
    def files(self) -> tuple[bytes, bytes]:
        """The .param and the .bin file."""
        return param_text(self.layers).encode(), bin_bytes(self.layers)


class NcnnFormat:
    """`NAME.param`, `NAME.bin` and `NAME.param.qcore.json`, which holds the contract and the hashes of both.

    Beside int8 layers lies `NAME.table`: their scales, for ncnn's own tools. Nothing here reads it.
    """

    def sniff(self, path: Path) -> bool:
        """By the number in the first line."""
        with path.open("rb") as stream:
            return stream.read(len(MAGIC) + 1).rstrip() == MAGIC.encode()

    def files(self, path: Path) -> Sequence[Path]:
        """The weights, the table of scales, the contract's file, and the graph."""
        ours = (path.with_suffix(".bin"), path.with_suffix(".table"), _beside(path), path)
        return [file for file in ours if file.exists()]

    def open(self, path: Path) -> NcnnModel:
        """The layers with their contract.

        Raises:
            FileError: A file is missing, damaged, or of another model.
        """
        weights, beside = path.with_suffix(".bin"), _beside(path)
        for file, what in ((weights, "weights"), (beside, "contract")):
            if not file.is_file():
                raise FileError(
                    f"{path}: its {what} {file.name} not found", hint=f"copy {file.name} beside it, or {_again(path)}"
                )
        graph, data = path.read_bytes(), weights.read_bytes()
        try:
            layers = read(graph.decode(), data)
        except ValueError as error:
            raise FileError(
                f"{path}: damaged, or not written by qcore-ncnn ({told(error)})", hint=_again(path)
            ) from error
        described, form, contract = _description(beside, path)
        for file, content in ((path, graph), (weights, data)):
            if hashlib.sha256(content).hexdigest() != described.get(_key(file)):
                raise FileError(
                    f"{file}: {beside.name} describes another file (the hashes differ)",
                    hint=f"copy all three together, or {_again(path)}",
                )
        blobs = described.get("blobs", {})
        _require_blobs(layers, contract, blobs, beside)
        return NcnnModel(layers, blobs, described, contract, form)

    def contract(self, content: NcnnModel) -> Contract | None:
        """The contract beside the file."""
        return content.contract

    def form(self, content: NcnnModel) -> Form:
        """As it was written."""
        return content.form or Form("ncnn")

    def signature(self, content: NcnnModel) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The shapes of the blobs, with the batch of the contract in front."""
        if content.contract is None:
            return (), ()
        made = shapes(content.layers)

        def seen(tensor: Tensor) -> Tensor:
            return Tensor(tensor.name, "float32", (tensor.shape[0], *made[content.blobs[tensor.name]]))

        return tuple(map(seen, content.contract.inputs)), tuple(map(seen, content.contract.outputs))

    def write(self, model: Model, path: Path) -> Sequence[Path]:
        """The weights, the table of scales if there are any, the contract's file, then the graph."""
        graph, data = model.module.files
        weights, beside = path.with_suffix(".bin"), _beside(path)
        hashes = {_key(file): hashlib.sha256(content).hexdigest() for file, content in ((path, graph), (weights, data))}
        description = {
            "ncnn": {**model.module.facts, **hashes, "blobs": dict(model.module.blobs)},
            "form": {name: value for name, value in asdict(model.form).items() if value is not None},
            "contract": model.contract.to_dict(),
        }
        weights.write_bytes(data)
        beside.write_text(json.dumps(description, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        path.write_bytes(graph)
        if scales := calibration_table(model.module.layers):
            path.with_suffix(".table").write_text(scales, encoding="utf-8")
        return self.files(path)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + SIDECAR)


def _key(file: Path) -> str:
    return f"{file.suffix[1:]}_sha256"


def _again(path: Path) -> str:
    return f"write it again: qcore export {path.with_suffix('.onnx').name} --to ncnn -o DIR"


def _description(beside: Path, path: Path) -> tuple[dict[str, Any], Form, Contract]:
    """What stands in the contract's file.

    Raises:
        FileError: It is damaged, or describes something else.
    """
    try:
        document = json.loads(beside.read_text(encoding="utf-8"))
        described, form = dict(document["ncnn"]), Form(**document["form"])
        if form.format != "ncnn" or not all(isinstance(value, (str, bool)) for value in document["form"].values()):
            raise ValueError("the form is not an ncnn model's")
        contract = document["contract"]
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise FileError(f"{beside}: not the description of an ncnn model ({told(error)})", hint=_again(path)) from error
    return described, form, Contract.from_dict(contract, source=str(beside))


def _require_blobs(layers: Sequence[Layer], contract: Contract, blobs: Any, beside: Path) -> None:
    """Hold the contract's tensors against the layers.

    Raises:
        FileError: One is missing, or has another shape.
    """
    made: dict[str, Shape] = shapes(layers)
    inputs = {name for layer in layers if layer.kind == "Input" for name in layer.outputs}
    ends = set(made) - {name for layer in layers for name in layer.inputs}
    for tensors, known, what in ((contract.inputs, inputs, "input"), (contract.outputs, ends, "output")):
        for tensor in tensors:
            blob = blobs.get(tensor.name) if isinstance(blobs, dict) else None
            if not isinstance(blob, str) or blob not in known:
                raise FileError(
                    f"{beside}: {what} {tensor.name} of the contract not found among the {what}s of the layers"
                )
            if made[blob] != tuple(tensor.shape[1:]):
                raise FileError(
                    f"{beside}: {what} {tensor.name} has shape {list(made[blob])} in the layers, "
                    f"{list(tensor.shape[1:])} in the contract, without the batch"
                )
    if missing := inputs - {blobs[tensor.name] for tensor in contract.inputs}:
        raise FileError(f"{beside}: input {min(missing)} of the layers is not in the contract")
