"""Where in a checkpoint the network is: bare, averaged, or inside what validation, hub and training wrap around it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from qcore.plugin import FileError
from qcore_kit.checkpoints.standins import StandIn, children

INNER = ("ema", "module", "model", "_orig_mod", "state_dict", "net", "shadow")
"""Members under which wrappers keep the network, or their weights."""
WEIGHTS = ("ema_state_dict", "state_dict", "model_state_dict", "model", "weights", "net", "module")
"""Keys under which weights are saved alone."""
DEEP = 6
"""Wrappers around wrappers."""
AUXILIARY = re.compile(
    r"(^|\.)(\w*quantizer\w*|\w*fake_quant\w*|activation_post_process\w*|_input_amax|_weight_amax)(\.|$)"
)
"""Members that quantization-aware training adds to a network."""
COUNTERS = ("total_ops", "total_params")
"""Buffers that thop leaves in every module."""


def chain(value: Any, depth: int = 0) -> list[StandIn]:
    """The module with the rows, then what wraps it, outwards; empty where there is none."""
    if not isinstance(value, StandIn) or depth > DEEP:
        return []
    body = children(value).get("model")
    if body is not None and "0" in children(body):
        return [value]
    members = {**value.state, **children(value)}
    names = [name for name in INNER if name in members] or list(children(value))[:1]
    for name in names:
        if inner := chain(members[name], depth + 1):
            return [*inner, value]
    return []


def network(value: Any, depth: int = 0) -> list[StandIn] | dict[str, Tensor] | None:
    """The modules (see `chain`) or the state dict in what a checkpoint calls `ema` or `model`, or None."""
    if depth > DEEP:
        return None
    if isinstance(value, StandIn):
        return chain(value) or next((found for found in _inside(value.state, depth) if found), None)
    if isinstance(value, Mapping):
        return tensors(value) or next((found for found in _inside(value, depth) if found), None)
    if isinstance(value, (list, tuple)):
        return next((found for found in (network(each, depth + 1) for each in value) if found), None)
    return None


def _inside(value: Mapping[str, Any], depth: int) -> list[Any]:
    return [network(value[name], depth + 1) for name in INNER if name in value]


def tensors(value: Any) -> dict[str, Tensor]:
    """The state dict that a map is; empty where most of it is something else."""
    if not isinstance(value, Mapping):
        return {}
    held = {key: each for key, each in value.items() if isinstance(key, str) and isinstance(each, Tensor)}
    return held if 2 * len(held) > len(value) else {}


def averaged(data: Mapping[str, Any], file: Any, name: str = "ema") -> list[StandIn] | dict[str, Tensor] | None:
    """The network under `ema` or another name, which goes before other ones: a module, a state dict, either in a pair.

    Raises:
        FileError: There is something under that name, and it is none of these.
    """
    value = data.get(name)
    if value is None or value is False or (isinstance(value, (Mapping, list, tuple)) and not value):
        return None
    holder = network(value)
    if holder is None:
        kind = value.qualified if isinstance(value, StandIn) else type(value).__name__
        raise FileError(
            f"{file}: the averaged weights under {name} are a {kind} in which no network was found",
            hint=f"the file's other weights are not averaged; to use them, save a checkpoint without {name}",
        )
    return holder


def bare(data: Any, file: Any) -> dict[str, Tensor]:
    """A state dict that was saved without the module; empty where there is none.

    Raises:
        FileError: As in `averaged`.
    """
    if not isinstance(data, Mapping):
        return {}
    weights = averaged(data, file)
    if isinstance(weights, dict):
        return weights
    for name in WEIGHTS:
        inner = network(data.get(name))
        if isinstance(inner, dict):
            return inner
    return tensors(data)


def cleaned(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int]:
    """The weights of the network alone, and how many quantizers were left out.

    A prefix of all keys goes, as do counters of operations; weights with a pruning mask become their product.
    """
    renamed: dict[str, Tensor] = {}
    quantizers: set[str] = set()
    for name, value in weights.items():
        key = re.sub(r"^(?:\w+\.)*?(?=model\.\d+\.)", "", name)
        if key.rpartition(".")[2] in COUNTERS:
            continue
        if match := AUXILIARY.search(key):
            quantizers.add(key[: match.end()].rstrip("."))
        elif key.endswith("_orig") and f"{name.removesuffix('_orig')}_mask" in weights:
            renamed[key.removesuffix("_orig")] = value * weights[f"{name.removesuffix('_orig')}_mask"].to(value.dtype)
        elif not (key.endswith("_mask") and f"{name.removesuffix('_mask')}_orig" in weights):
            renamed[key] = value
    return renamed, len(quantizers)
