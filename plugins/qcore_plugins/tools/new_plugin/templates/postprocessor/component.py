"""The postprocessor `mynet`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qcore.plugin import Arrays, Tensor


class Mynet:
    """Results are mappings with `name` and `probability`, or empty where the scores are no numbers.

    Args:
        params: Of the contract; none are known.
        outputs: Of the contract: scores `[batch, classes]`.
        classes: Names.
    """

    def __init__(self, params: Mapping[str, Any], outputs: Sequence[Tensor], classes: Sequence[str]) -> None:
        self._name, self._classes = outputs[0].name, tuple(classes)

    def __call__(self, outputs: Arrays, geometries: Sequence[Any]) -> list[dict[str, Any]]:
        """One result for each element of the batch."""
        import numpy as np

        results: list[dict[str, Any]] = []
        for row in outputs[self._name][: len(geometries)]:
            if not np.isfinite(row).all():
                results.append({})
                continue
            powers = np.exp(row - row.max())
            best = int(row.argmax())
            results.append({"name": self._classes[best], "probability": round(float(powers[best] / powers.sum()), 6)})
        return results
