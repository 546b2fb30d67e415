"""The observer of `--report DIR`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qcore.plugin import Host
from qcore_kit.reports import Report, writing


class Page:
    """Writes what a command found with every installed reporter, and `report.json`."""

    def begin(self, options: Mapping[str, Any], host: Host) -> None:
        """Get ready; errors as in `writing.ready`."""
        self._folder, self._host = options["report"], host
        writing.ready(self._folder, host)

    def finished(self, report: Report) -> Sequence[Path]:
        """Write it; errors as in `writing.write`."""
        return writing.write(report, self._folder, self._host)
