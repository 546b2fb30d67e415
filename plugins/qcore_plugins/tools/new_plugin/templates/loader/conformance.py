"""Examples for the conformance checks."""

from __future__ import annotations

from pathlib import Path

from qcore.testing import FormatConformance, LoaderConformance


class TestMynetLoader(LoaderConformance):
    """The loader."""

    component = "mynet"

    def file(self, folder: Path) -> Path:
        """Two classes of three features."""
        path = folder / "example.json"
        path.write_text('{"mynet": 1, "weights": [[1, 2, 3], [3, 2, 1]], "classes": ["up", "down"]}')
        return path


class TestMynetFormat(FormatConformance):
    """The format, which is only read."""

    component = "mynet"
