"""Classes of files that say nothing about them."""

from __future__ import annotations

from collections.abc import Sequence


def numbered(names: Sequence[str]) -> bool:
    """Whether the names are only the numbers of the classes."""
    return list(names) == [str(place) for place in range(len(names))]
