"""The evaluator `mynet`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qcore.plugin import Contract, FileError, Progress, read_text


class Counted:
    """Right and wrong results, by place."""

    def __init__(self, labels: Mapping[str, str], folder: Path) -> None:
        self.items: list[Path] = [folder / name for name in labels]
        self._labels, self._right = list(labels.values()), dict[int, bool]()

    def add(self, place: int, raw: Any, result: Any) -> None:
        """Take one result; None stands for an input that could not be read, and counts as wrong."""
        self._right[place] = result is not None and result.get("name") == self._labels[place]

    def figures(self) -> dict[str, Any]:
        """Of what was added."""
        return {"accuracy": sum(self._right.values()) / len(self._right) if self._right else None}


class Mynet:
    """Labels are JSON: name of an input, beside the file -> name of its class."""

    figure = "accuracy"

    def open(self, contract: Contract, data: Any, *, options: Mapping[str, Any], progress: Progress) -> Counted:
        """Begin; FileError where the labels cannot be read."""
        try:
            labels = json.loads(read_text(data))
            if not labels or any(name not in contract.classes for name in labels.values()):
                raise ValueError("a class that the model does not have")
        except (ValueError, AttributeError, TypeError) as error:
            raise FileError(
                f"{data}: not labels of this model's classes", hint='expected {"input": "class"}'
            ) from error
        return Counted(labels, Path(data).parent)
