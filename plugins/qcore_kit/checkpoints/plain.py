"""Values of a checkpoint as plain lists, maps and arrays, whatever container a training package kept them in."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from qcore_kit.checkpoints.standins import StandIn
from qcore_kit.checkpoints.unpickler import Array

DEEP = 30
"""Levels after which a value is left as it is: it contains itself."""


def plain(value: Any, depth: int = 0) -> Any:
    """The value with containers of OmegaConf, EasyDict, argparse and others as maps and lists; modules stay."""
    if isinstance(value, Array):
        return value.value
    if isinstance(value, SimpleNamespace):
        value = vars(value)
    if depth > DEEP:
        return value
    if isinstance(value, Mapping):
        return {key: plain(each, depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        items = [plain(each, depth + 1) for each in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, StandIn) and "_modules" not in value.state:
        return _opened(value, depth)
    return value


def opened(value: Any) -> Any:
    """The same for a container of OmegaConf only: other objects keep their class."""
    return plain(value) if isinstance(value, StandIn) and value.qualified.startswith("omegaconf.") else value


def _opened(value: StandIn, depth: int) -> Any:
    state = value.state
    for inner in ("_content", "_val"):
        if value.qualified.startswith("omegaconf.") and inner in state:
            return plain(state[inner], depth + 1)
    if "items" in state:
        return plain(state["items"], depth + 1)
    return plain({key: each for key, each in state.items() if not str(key).startswith("_")}, depth)
