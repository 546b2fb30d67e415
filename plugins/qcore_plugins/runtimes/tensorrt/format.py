"""The format `tensorrt`: a plain plan, and its contract in a file beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from qcore.plugin import Contract, FileError, Form, Model, Tensor

MAGIC = (b"ftrt", b"vtrt")
"""First bytes of the plans of TensorRT and of TensorRT for RTX."""
SIDECAR = ".qcore.json"


@dataclass(frozen=True)
class Engine:
    """A serialized engine.

    Attributes:
        plan: What the runtime deserializes; trtexec loads it as it is.
        facts: How it was made: `package`, `version`, `onnx_sha256`, `compute_capability`, `batch_range`.
        contract: What lies beside it; None for an engine that stands alone.
        form: As the contract's file says it; None likewise.
    """

    plan: bytes = field(repr=False)
    facts: Mapping[str, Any]
    contract: Contract | None = None
    form: Form | None = None


class EngineFormat:
    """An engine and `NAME.engine.qcore.json`: the contract, how the engine was made, and both files' hashes."""

    def sniff(self, path: Path) -> bool:
        """By the first bytes."""
        with path.open("rb") as stream:
            return stream.read(4) in MAGIC

    def files(self, path: Path) -> Sequence[Path]:
        """The contract's file, where there is one, and the engine."""
        return [file for file in (path.with_name(path.name + SIDECAR), path) if file.exists()]

    def open(self, path: Path) -> Engine:
        """The engine with its contract.

        Raises:
            FileError: The contract's file is damaged, or belongs to another engine.
        """
        plan = path.read_bytes()
        beside = path.with_name(path.name + SIDECAR)
        if not beside.is_file():
            raise FileError(
                f"{path}: its contract {beside.name} is missing", hint=f"copy it beside the engine, or {_again(path)}"
            )
        try:
            description = json.loads(beside.read_text(encoding="utf-8"))
            facts, form = dict(description["engine"]), Form(**description["form"])
            contract, expected = description["contract"], str(facts["sha256"])
            if form.format != "tensorrt" or not all(
                isinstance(value, (str, bool)) for value in description["form"].values()
            ):
                raise ValueError("the form is not an engine's")
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise FileError(f"{beside}: not the description of an engine ({error})", hint=_again(path)) from error
        if hashlib.sha256(plan).hexdigest() != expected:
            raise FileError(
                f"{path}: {beside.name} describes another engine (the hashes differ)",
                hint=f"copy the two together, or {_again(path)}",
            )
        return Engine(plan, facts, Contract.from_dict(contract, source=str(beside)), form)

    def contract(self, content: Engine) -> Contract | None:
        """The contract beside the engine, if any."""
        return content.contract

    def form(self, content: Engine) -> Form:
        """As it was built."""
        return content.form or Form("tensorrt")

    def signature(self, content: Engine) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """As the contract tells them: only a GPU could read them out of the engine."""
        return (content.contract.inputs, content.contract.outputs) if content.contract else ((), ())

    def write(self, model: Model, path: Path) -> Sequence[Path]:
        """The contract's file, then the engine."""
        plan = model.module.plan
        description = {
            "engine": {**model.module.facts, "sha256": hashlib.sha256(plan).hexdigest()},
            "form": {name: value for name, value in asdict(model.form).items() if value is not None},
            "contract": model.contract.to_dict(),
        }
        beside = path.with_name(path.name + SIDECAR)
        beside.write_text(json.dumps(description, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        path.write_bytes(plan)
        return [beside, path]


def _again(path: Path) -> str:
    return f"build it again: qcore export {path.with_suffix('.onnx').name} --to tensorrt -o DIR"
