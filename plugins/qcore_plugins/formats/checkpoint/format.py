"""The format `checkpoint`."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore.plugin import Contract, FileError, Form, Model, Tensor

if TYPE_CHECKING:
    from qcore.plugin import LoaderSpec, Opened


class CheckpointFormat:
    """Files written by `torch.save`; only read, and only by loaders."""

    def sniff(self, path: Path) -> bool:
        """A zip archive (complete or cut off) or the older pickle form."""
        with path.open("rb") as stream:
            head = stream.read(64)
        if not head.startswith(b"PK\x03\x04"):
            return head.startswith(b"\x80") and head[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}
        if not zipfile.is_zipfile(path):
            return b"data.pkl" in head
        try:
            with zipfile.ZipFile(path) as archive:
                return any(name.endswith("data.pkl") for name in archive.namelist())
        except (zipfile.BadZipFile, ValueError, NotImplementedError):  # names or versions are damaged
            return b"data.pkl" in head

    def open(self, path: Path) -> Any:
        """The checkpoint as data; see `read_checkpoint`."""
        from qcore_kit.checkpoints.unpickler import read_checkpoint

        return read_checkpoint(path)

    def contract(self, content: Any) -> Contract | None:  # noqa: ARG002
        """None: what a checkpoint means, its loader knows."""
        return None

    def unrecognised(self, opened: Opened, loaders: Sequence[LoaderSpec]) -> FileError:
        """The error for a checkpoint of no family, with what is inside."""
        from qcore_plugins.formats.checkpoint.advice import about, advice

        found, names = about(opened.content), ", ".join(sorted(spec.name for spec in loaders)) or "none"
        return FileError(
            f"{opened.path}: no loader recognises this checkpoint file (installed loaders: {names}), {found}",
            hint=advice(opened.content) or "qcore list-plugins shows the loaders; a plugin can add one",
        )

    def form(self, content: Any) -> Form:  # noqa: ARG002
        """Data for a loader, not a model yet."""
        return Form("checkpoint")

    def signature(self, content: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:  # noqa: ARG002
        """Nothing: there is no graph."""
        return (), ()

    def write(self, model: Model, path: Path) -> list[Path]:
        """Not done: checkpoints are read only, which is why the spec names no suffix."""
        raise TypeError(f"{path}: {model.form} is not written as a checkpoint")
