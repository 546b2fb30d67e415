"""The format `table`: a zip archive of `graph.onnx`, `table.json` and `contract.json`."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qcore.plugin import Contract, FileError, Form, Model, Tensor

if TYPE_CHECKING:
    from qcore_kit.quantization.table import ScaleTable

GRAPH, TABLE, CONTRACT = "graph.onnx", "table.json", "contract.json"


class TableFormat:
    """A scale table with the float graph it belongs to."""

    def sniff(self, path: Path) -> bool:
        """A zip archive with a scale table inside."""
        with path.open("rb") as stream:
            if stream.read(4) != b"PK\x03\x04":
                return False
        try:
            with zipfile.ZipFile(path) as archive:
                return TABLE in archive.namelist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError):  # names or versions are damaged
            return False

    def open(self, path: Path) -> ScaleTable:
        """The table, with its contract among the graph's metadata.

        Raises:
            FileError: Damaged.
            CheckFailed: A scale in it cannot be used.
        """
        import onnx
        from google.protobuf.message import DecodeError

        from qcore_kit.quantization.table import ScaleTable
        from qcore_kit.told import told

        try:
            with zipfile.ZipFile(path) as archive:
                if damaged := archive.testzip():
                    raise FileError(
                        f"{path}: damaged, {damaged} inside it is not what was written", hint="copy it again"
                    )
                graph = onnx.load_model_from_string(archive.read(GRAPH))
                document = json.loads(archive.read(TABLE))
                entry = graph.metadata_props.add()
                entry.key, entry.value = CONTRACT, archive.read(CONTRACT).decode()
            return ScaleTable.from_dict(graph, document)
        except (zipfile.BadZipFile, zlib.error, KeyError, TypeError, ValueError, DecodeError) as error:
            raise FileError(f"{path}: not a complete scale table ({told(error)})", hint="copy it again") from error

    def contract(self, content: ScaleTable) -> Contract | None:
        """The contract inside."""
        texts = [entry.value for entry in content.graph.metadata_props if entry.key == CONTRACT]
        return Contract.from_json(texts[0], source=CONTRACT) if texts else None

    def form(self, content: ScaleTable) -> Form:  # noqa: ARG002
        """Ranges, for the converters that write Q/DQ."""
        return Form("table", encoding="ranges", precision="f32")

    def signature(self, content: ScaleTable) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """As the contract tells them."""
        contract = self.contract(content)
        return (contract.inputs, contract.outputs) if contract else ((), ())

    def write(self, model: Model, path: Path) -> Sequence[Path]:
        """One file; the same model gives the same bytes."""
        parts = {
            GRAPH: model.module.graph.SerializeToString(deterministic=True),
            TABLE: json.dumps(model.module.to_dict(), indent=1, sort_keys=True).encode(),
            CONTRACT: model.contract.to_json().encode(),
        }
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in parts.items():
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        return [path]
