"""The format `mynet`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qcore.plugin import KEY, Contract, FileError, Form, Model, Tensor, read_text

HEAD = '{"mynet": '


class Mynet:
    """JSON: {"mynet": 1, the contract, the values}; models of the form `mynet` are lists of numbers."""

    def sniff(self, path: Path) -> bool:
        """By the first bytes, so that the suffix does not matter."""
        with path.open("rb") as stream:
            return stream.read(len(HEAD)) == HEAD.encode()

    def open(self, path: Path) -> dict[str, Any]:
        """The document, checked here once: what comes after can rely on it."""
        try:
            content = json.loads(read_text(path))
            values = [float(value) for value in content["values"]]
            contract = content[KEY]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise FileError(f"{path}: not a whole Mynet file", hint="export it again") from error
        return {"values": values, KEY: contract, "source": str(path)}

    def contract(self, content: Any) -> Contract | None:
        """The one inside."""
        return Contract.from_dict(content[KEY], source=content["source"])

    def form(self, content: Any) -> Form:
        """What is inside."""
        return Form("mynet", encoding="float")

    def signature(self, content: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """As the contract says."""
        contract = Contract.from_dict(content[KEY], source=content["source"])
        return contract.inputs, contract.outputs

    def write(self, model: Model, path: Path) -> list[Path]:
        """One file."""
        document = {"mynet": 1, KEY: model.contract.to_dict(), "values": list(model.module)}
        path.write_text(json.dumps(document), encoding="utf-8")
        return [path]
