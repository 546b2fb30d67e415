"""Examples for the conformance checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qcore_kit.testing import ObserverConformance


class TestMynet(ObserverConformance):
    """The observer."""

    component = "mynet"

    def options(self, folder: Path) -> dict[str, Any]:
        """A log in the folder."""
        return {"mynet": folder / "log.tsv"}
