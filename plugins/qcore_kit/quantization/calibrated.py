"""What calibration saw of each tensor, in parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qcore.plugin import FileError
from qcore_kit import parts
from qcore_kit.quantization.histogram import Histogram


def state(seen: Mapping[str, Histogram]) -> dict[str, Any]:
    """As plain data that JSON can hold."""
    return {name: histogram.state() for name, histogram in seen.items()}


def read(files: Sequence[str]) -> dict[str, Histogram]:
    """What all parts of a calibration saw together.

    Raises:
        FileError: As `parts.read`; or a part is of another graph.
    """
    seen: dict[str, Histogram] = {}
    for file, part in parts.read([str(file) for file in files], "calibration").items():
        try:
            own = {str(name): Histogram.of(each) for name, each in dict(part.state).items()}
        except (TypeError, ValueError, FileError) as error:
            raise FileError(f"{file}: not what calibration sees of a model") from error
        if seen and set(own) != set(seen):
            raise FileError(f"{file}: of another graph than the other parts")
        for name, histogram in own.items():
            if name in seen:
                seen[name].merge(histogram)
            else:
                seen[name] = histogram
    return seen
