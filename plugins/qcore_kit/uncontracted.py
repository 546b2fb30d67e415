"""The refusal of exported files that carry no contract."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qcore.plugin import FileError


def no_contract(path: Path, loaders: Sequence[str] = ()) -> FileError:
    """The error for an exported file without a contract.

    Args:
        path: The file.
        loaders: Those that recognise the heads of such files.
    """
    if loaders:
        return FileError(
            f"{path}: the file has no contract, so the preprocessing that it expects is unknown",
            hint=f"--loader {loaders[0]} takes the preprocessing that is usual for its head and says which; "
            f"qcore contract attach {path} -o DIR writes it into a copy",
        )
    return FileError(
        f"{path}: the file has no contract, so its preprocessing and outputs are unknown",
        hint=f"qcore contract attach {path} --family FAMILY --names names.txt, or export it again with qcore export",
    )
