"""The result `mynet`."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Mynet:
    """Results are mappings with `name` and `probability`; empty where nothing was found."""

    def records(self, result: Any) -> list[dict[str, Any]]:
        """One record, or none."""
        return [{"name": str(result["name"]), "probability": float(result["probability"])}] if result else []

    def draw(self, raw: Any, result: Any, path: Path) -> None:
        """A line of text."""
        text = f"{result['name']} {result['probability']:.3f}" if result else "nothing found"
        path.write_text(f"{text}\n", encoding="utf-8")
