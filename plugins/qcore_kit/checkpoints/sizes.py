"""The input size of the training, as checkpoints keep it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qcore_kit.checkpoints.plain import plain
from qcore_kit.checkpoints.standins import StandIn
from qcore_kit.classes.reading import number

HOLDERS = ("train_args", "opt", "args", "overrides", "hyper_parameters")
"""Members that keep the arguments of the training."""
LEAST, MOST = 32, 16384
"""Sides in pixels that can be meant."""


def trained_size(data: Any, modules: Sequence[StandIn] = ()) -> tuple[int, int] | None:
    """Height and width that a checkpoint was trained at, or None where it does not say."""
    for holder in _holders(data, modules):
        for key in ("imgsz", "img_size", "image_size"):
            if (size := _sides(holder.get(key), key)) is not None:
                return size
    return None


def _holders(data: Any, modules: Sequence[StandIn]) -> Iterator[Mapping[str, Any]]:
    """Maps that may have the size, the nearest to the training first."""
    for place in (data, *(module.state for module in modules)):
        if isinstance(place, Mapping):
            yield place
            for holder in HOLDERS:
                if isinstance(arguments := plain(place.get(holder)), Mapping):
                    yield arguments


def _sides(value: Any, key: str) -> tuple[int, int] | None:
    value = plain(value)
    if isinstance(value, str):
        value = re.findall(r"\d+", value)
    items = value.tolist() if hasattr(value, "tolist") else value
    sides = [number(side) for side in (items if isinstance(items, (list, tuple)) else [items])]
    if not 1 <= len(sides) <= 2 or any(side is None or not LEAST <= side <= MOST for side in sides):
        return None
    if key == "img_size":  # two numbers are the sizes of training and validation there
        sides = sides[:1]
    return int(sides[0] or 0), int(sides[-1] or 0)
