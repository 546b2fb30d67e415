"""Examples for the conformance checks."""

from __future__ import annotations

from typing import Any

from qcore_kit.testing import ResultConformance


class TestMynet(ResultConformance):
    """The result."""

    component = "mynet"

    def result(self) -> Any:
        """Something found."""
        return {"name": "up", "probability": 0.75}

    def empty(self) -> Any:
        """Nothing found."""
        return {}
