"""What a pickled module says of itself beside its weights: used where the rebuilt network can be set so, else refused.

A state dict does not tell the epsilon of a BatchNorm, the kernel of a pool, a stride, a shortcut or an activation, and
the config tells what they were meant to be. The pickled objects were what was trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from torch import Tensor, nn

from qcore.plugin import FileError
from qcore_kit.checkpoints.parts import AUXILIARY
from qcore_kit.checkpoints.standins import Method, StandIn, children, named_modules
from qcore_plugins._shared.network.leaves import ACTIVATIONS, NEUTRAL, POOLS, Leaf, leaf

RUNS = {"forward", "_forward", "forward_fuse", "fuseforward", "forward_split", "_forward_once", "forward_once"}
"""Methods that compute what `forward` does."""
HARMLESS = ("torch.nn.utils.prune.", "thop.")
"""Hooks whose effect is in the weights already, or that only count."""
FIXED = {"add": False, "n": 3}
"""Attributes of newer or changed blocks, and their values where a block here has no such choice."""
HOOKS = ("_forward_hooks", "_forward_pre_hooks")


def restore(
    network: nn.Module,
    source: StandIn | None,
    weights: Mapping[str, Tensor],
    file: str,
    renamed: Callable[[str], str | None] = lambda name: name,
) -> None:
    """Give every part of a network what its pickled original says of itself.

    A block names the classes that it stands for in `stored_as`, and in `stored` the attributes it takes over, by their
    pickled names.

    Args:
        network: As built from the config, in the form (folded or not) of the weights.
        source: The pickled module; None where the checkpoint has weights only.
        weights: Under the names of the network.
        file: What to name in errors.
        renamed: From the name of a pickled part to its name in the network, or None where it has none.

    Raises:
        FileError: A part is of a class that the loader does not know, or has an attribute that it cannot take over.
    """
    if source is None:
        return
    names = dict(network.named_modules())
    leaves: tuple[str, ...] = ()
    for path, part in named_modules(source):
        inside = path.startswith("model.")
        here = renamed(path) if inside else None
        if (inside and here is None) or AUXILIARY.search(path) or path.startswith(leaves or ("\0",)):
            continue
        _runs(part, path or "the network", file)
        if here is None:
            continue
        if here not in names:
            _missing(part, path, here, weights, file)
            continue
        own = network.get_submodule(here)
        made = _part(own, part, Leaf(path, file, weights.get(f"{here}.weight"), weights.get(f"{here}.bias")))
        if _leaf(made):
            leaves += (f"{path}.",)
        if made is not own:
            network.set_submodule(here, made)


def _part(own: nn.Module, part: StandIn, at: Leaf) -> nn.Module:
    """What stands at a place of the network: the pickled leaf built anew, or the block with the pickled attributes."""
    if _leaf(own) and (built := _built(part, at)) is not None:
        return built
    if isinstance(own, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
        if part.short not in ("Sequential", "ModuleList", "ModuleDict"):
            raise _unknown(part, own, at)
        return own
    if part.short not in (type(own).__name__, *getattr(own, "stored_as", ())):
        raise _unknown(part, own, at)
    for name, target in getattr(own, "stored", {}).items():
        if name in part.state:
            value = part.state[name]
            setattr(own, target, list(value) if isinstance(value, (list, tuple)) else int(value))
    for name, value in FIXED.items():
        if part.state.get(name, value) != value and name not in getattr(own, "stored", {}):
            raise FileError(
                f"{at.file}: {at.path} has {name} {part.state[name]!r}, this loader computes {part.short} "
                f"with {name} {value!r} only"
            )
    return own


def _built(part: StandIn, at: Leaf) -> nn.Module | None:
    """A leaf, or the only one inside a block such as upstream's SP."""
    built, only = leaf(part, at), list(children(part).values())
    inside = built is None and len(only) == 1 and not part.qualified.startswith("torch.")
    return leaf(only[0], at) if inside else built


def _leaf(own: nn.Module) -> bool:
    return not list(own.children()) and type(own).__module__.startswith("torch.nn.")


def _unknown(part: StandIn, own: nn.Module, at: Leaf) -> FileError:
    return FileError(
        f"{at.file}: {at.path} is a {part.short}, which this loader does not compute; its config makes it a "
        f"{type(own).__name__}",
        hint="export the model to ONNX where it was trained, then qcore quantize FILE.onnx --loader onnx",
    )


def _missing(part: StandIn, path: str, here: str, weights: Mapping[str, Tensor], file: str) -> None:
    """A part that the network does not have: without an effect, or named by its weights later, or refused."""
    if part.short in NEUTRAL or any(key.startswith(f"{here}.") for key in weights) or children(part):
        return
    if part.short in POOLS or part.short in ACTIVATIONS or part.qualified.startswith("torch.nn."):
        raise FileError(f"{file}: {path} is a {part.short}, which the network of its config does not have")


def _runs(part: StandIn, path: str, file: str) -> None:
    """Refuse a module that computes something else than its class does."""
    bound = part.state.get("forward")
    if bound is not None:
        name = bound.name if isinstance(bound, Method) else type(bound).__name__
        if name not in RUNS or not isinstance(bound, Method) or bound.owner is not part:
            raise FileError(f"{file}: {path} runs {name} instead of its own forward, which this loader cannot follow")
    for hook in _hooks(part):
        if not hook.startswith(HARMLESS):
            raise FileError(
                f"{file}: {path} has the hook {hook}, which changes what it computes",
                hint="remove it where the model was trained, e.g. with remove_weight_norm, and save it again",
            )


def _hooks(part: StandIn) -> Iterator[str]:
    for name in HOOKS:
        for hook in (part.state.get(name) or {}).values():
            yield str(getattr(hook, "qualified", type(hook).__name__))
