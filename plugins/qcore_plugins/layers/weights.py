"""Weights into networks, strict about keys and shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from qcore.errors import FileError
from qcore_plugins.checkpoint.standins import StandIn, named_modules
from qcore_plugins.layers.conv import Conv

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "SiLU": nn.SiLU,
    "ReLU": nn.ReLU,
    "ReLU6": nn.ReLU6,
    "LeakyReLU": nn.LeakyReLU,
    "Hardswish": nn.Hardswish,
    "Mish": nn.Mish,
    "GELU": nn.GELU,
    "ELU": nn.ELU,
    "Sigmoid": nn.Sigmoid,
    "Identity": nn.Identity,
}
"""Activations by class name; a config's expression is looked up here, never evaluated."""
NAMED = 3
"""How many keys that do not fit an error names."""


def built(make: Callable[[], nn.Module], file: str) -> Any:
    """What `make` builds from a stored config; its errors name the file.

    Raises:
        FileError: The config cannot be built.
    """
    try:
        return make()
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, RuntimeError) as error:
        raise FileError(f"{file}: the stored config cannot be built ({error})") from error
    except FileError as error:
        raise FileError(f"{file}: {error.message}", hint=error.hint) from error


def fill(network: nn.Module, weights: Mapping[str, Tensor], file: str) -> None:
    """Load weights; units that were saved folded take that form first. Leaves the network in eval mode, float32.

    Raises:
        FileError: A key is missing, left over, or of another shape.
    """
    for name, part in network.named_modules():
        if isinstance(part, Conv) and f"{name}.conv.bias" in weights and f"{name}.bn.weight" not in weights:
            part.without_bn()
    wanted = network.state_dict()
    problems = [f"missing {key}" for key in wanted if key not in weights]
    problems += [f"unexpected {key}" for key in weights if key not in wanted]
    problems += [
        f"{key} is {list(weights[key].shape)}, the config makes it {list(value.shape)}"
        for key, value in wanted.items()
        if key in weights and weights[key].shape != value.shape
    ]
    if problems:
        more = f" and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        raise FileError(f"{file}: weights and config do not fit: {'; '.join(problems[:NAMED])}{more}")
    network.load_state_dict({key: _float(value) for key, value in weights.items()}, strict=True)
    network.eval().requires_grad_(False)


def _float(value: Tensor) -> Tensor:
    return value.to(torch.float32) if value.is_floating_point() else value


def set_activations(
    network: nn.Module,
    config: Mapping[str, Any],
    source: StandIn | None,
    renamed: Callable[[str], str | None] = lambda name: name,
) -> None:
    """Give every block the activation it was trained with: the pickled object's class, else the config's expression.

    Args:
        network: Blocks with a member `act`.
        config: With an optional `activation`.
        source: The pickled module, where there is one.
        renamed: From the name of a pickled part to its name in the network, or None where it has none.

    Raises:
        FileError: An activation that is not in `ACTIVATIONS`.
    """
    pickled = {}
    for name, part in named_modules(source) if source else ():
        if name.endswith(".act") and (here := renamed(name)):
            pickled[here] = part
    expression = str(config.get("activation") or "").removeprefix("torch.").removeprefix("nn.")
    for name, part in network.named_modules():
        if not isinstance(getattr(part, "act", None), nn.Module):
            continue
        if (found := pickled.get(f"{name}.act")) is not None:
            part.act = activation(found.short, found.state)
        elif expression and not isinstance(part.act, nn.Identity):
            word, _, rest = expression.partition("(")
            number = rest.rstrip(") ").partition("=")[2] or rest.rstrip(") ")
            part.act = activation(word, {"negative_slope": float(number)} if word == "LeakyReLU" and number else {})


def activation(name: str, state: Mapping[str, Any]) -> nn.Module:
    """An activation by class name.

    Raises:
        FileError: It is not in `ACTIVATIONS`.
    """
    if name not in ACTIVATIONS:
        raise FileError(f"activation {name} is not supported", hint=f"supported: {', '.join(sorted(ACTIVATIONS))}")
    if name == "LeakyReLU":
        return nn.LeakyReLU(float(state.get("negative_slope", 0.01)))
    return ACTIVATIONS[name]()
