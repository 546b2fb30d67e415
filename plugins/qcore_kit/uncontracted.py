"""The refusal of exported files that carry no contract."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qcore.plugin import FileError, LoaderSpec, Opened, QcoreError, load_opened


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


def unrecognised(opened: Opened, loaders: Sequence[LoaderSpec]) -> FileError:
    """The error for an exported file that no loader recognises.

    Where none could read it even if it were asked for, a contract would not help: what the first says is the error.

    Args:
        opened: The file.
        loaders: Those of its format.
    """
    refusals = []
    for spec in loaders:
        try:
            load_opened(opened, spec, spec.settings({}))
        except FileError as error:
            refusals.append(error)
            continue
        except QcoreError:
            pass
        return no_contract(opened.path, [each.name for each in loaders])
    return refusals[0] if refusals else no_contract(opened.path)
