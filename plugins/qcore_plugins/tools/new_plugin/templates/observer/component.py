"""The observer `mynet`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qcore.plugin import FileError, Host
from qcore_kit.reports import Report


class Mynet:
    """Appends to the file that its option names."""

    def begin(self, options: Mapping[str, Any], host: Host) -> None:
        """Refuse a file that cannot be written to, before the long work."""
        self._path: Path = options["mynet"]
        try:
            self._path.touch()
        except OSError as error:
            raise FileError(f"{self._path}: cannot be written to ({error.strerror})") from error

    def finished(self, report: Report) -> Sequence[Path]:
        """Add the line."""
        with self._path.open("a", encoding="utf-8") as log:
            print(report.verdict, report.title, sep="\t", file=log)
        return [self._path]
