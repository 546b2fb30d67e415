"""Weights into networks, strict about keys and shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from qcore.plugin import FileError
from qcore_kit.checkpoints.standins import StandIn, children
from qcore_plugins._shared.network.attributes import restore
from qcore_plugins._shared.network.leaves import activation

NAMED = 3
"""How many keys that do not fit an error names."""


def built(make: Callable[[], Any], file: str) -> Any:
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


def trained(
    network: Any,
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    source: StandIn | None,
    file: str,
    renamed: Callable[[str], str | None] = lambda name: name,
) -> None:
    """Make a network of rows what its checkpoint holds: form, attributes of the pickled parts, weights.

    Args:
        network: As built from the config.
        config: With an optional `activation`.
        weights: Under the names of the network.
        source: The pickled module, where there is one.
        file: What to name in errors.
        renamed: From the name of a pickled part to its name in the network, or None where it has none.

    Raises:
        FileError: A part, an attribute or a weight does not fit.
    """
    set_activations(network, config)
    formed(network, weights)
    restore(network, source, weights, file, renamed)
    built(network.measure, file)
    _strides(network, source, file)
    fill(network, weights, file)


def _strides(network: Any, source: StandIn | None, file: str) -> None:
    """Hold the strides of the network against those that its head decoded with."""
    if source is None:
        return
    head = list(children(children(source)["model"]).values())[-1]
    stride = head.state.get("stride", source.state.get("stride"))
    if isinstance(stride, Tensor) and stride.numel() == len(network.strides):
        told = [float(value) for value in stride.flatten()]
        if told != network.strides and any(told):
            raise FileError(f"{file}: the head decodes with the strides {told}, its layers have {network.strides}")


def formed(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give units the form that their weights were saved in: a unit with a method `formed(keys)` is what that returns.

    Args:
        network: As its config makes it, unfolded.
        weights: Under the names of the network.
    """
    units = [(name, part) for name, part in network.named_modules() if hasattr(part, "formed")]
    below: dict[str, set[str]] = {name: set() for name, _ in units}
    for key in weights:
        owner, _, rest = key.rpartition(".")
        while owner:
            if owner in below:
                below[owner].add(rest)
            owner, _, last = owner.rpartition(".")
            rest = f"{last}.{rest}"
    for name, part in units:
        made = part.formed(below[name])
        if made is not part:
            network.set_submodule(name, made)


def fill(network: nn.Module, weights: Mapping[str, Tensor], file: str) -> None:
    """Load weights; leaves the network in eval mode, float32. Counts of batches that are missing do not matter.

    Raises:
        FileError: A key is missing, left over, or of another shape.
    """
    own = network.state_dict()
    given = {key: _float(value) for key, value in weights.items()}
    given |= {key: value for key, value in own.items() if key.endswith(".num_batches_tracked") and key not in given}
    problems = [f"missing {key}" for key in own if key not in given]
    problems += [f"unexpected {key}" for key in given if key not in own]
    problems += [
        f"{key} is {list(given[key].shape)}, the config makes it {list(value.shape)}"
        for key, value in own.items()
        if key in given and given[key].shape != value.shape
    ]
    if problems:
        more = f" and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        raise FileError(
            f"{file}: weights and config do not fit: {'; '.join(problems[:NAMED])}{more}", hint=_advice(own, given)
        )
    network.load_state_dict(given, strict=True)
    network.eval().requires_grad_(False)


def _advice(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """What weights that do not fit most likely are."""
    if any(key.endswith((".weight_g", ".weight_v")) for key in given):
        return "the weights are normalized: call remove_weight_norm on the model and save it again"
    both = [key for key in own if key in given and own[key].ndim == given[key].ndim]
    smaller = sum(own[key].shape != given[key].shape for key in both)
    if smaller and len(both) == len(own):
        return (
            "a model whose channels were pruned has other shapes than its config: save the whole pickled model, "
            "or export it to ONNX where it was pruned and quantize that"
        )
    return "pass the config that the model was trained with, or the checkpoint that training wrote"


def _float(value: Tensor) -> Tensor:
    return value.to(torch.float32) if value.is_floating_point() else value


def set_activations(network: nn.Module, config: Mapping[str, Any]) -> None:
    """Give every block the activation that the config names; what a pickled module says comes later, and wins.

    Args:
        network: Blocks with a member `act`.
        config: With an optional `activation`.

    Raises:
        FileError: An activation that is not supported.
    """
    expression = config.get("activation")
    if not expression:
        return
    for part in network.modules():
        if isinstance(getattr(part, "act", None), nn.Module) and not isinstance(part.act, nn.Identity):
            part.act = activation(str(expression))
