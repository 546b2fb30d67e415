"""Stand-ins for classes of model code: they keep what the pickle says of an object and do nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import torch

MODEL_PACKAGES = (
    "models", "ultralytics", "utils", "super_gradients", "yolov5", "yolov9", "yolo", "nets",
    "addict", "apex", "common", "easydict", "experimental", "lightning", "lightning_fabric", "mmcv", "mmdet",
    "mmengine", "mmyolo", "modelopt", "munch", "nncf", "omegaconf", "pytorch_lightning", "pytorch_quantization",
    "sparseml", "thop", "timm", "torch_pruning", "yacs", "yolov6", "yolov7", "yolov8", "yolox",
)  # fmt: skip
"""Top-level packages whose classes training code pickles. A name in them is never imported, so it cannot do harm."""
TORCH_MODULES = (
    "torch.nn.", "torch.optim.", "torch.ao.", "torch.quantization.", "torch.amp.", "torch.cuda.amp.",
    "torch._C._distributed_c10d.", "torchvision.", "numpy.random._pickle.",
)  # fmt: skip
"""Modules that hold layers, quantizers, optimizers and states of random numbers."""
NAMES = {
    "torch.Tensor", "torch.per_tensor_affine", "torch.per_channel_affine", "torch._utils._rebuild_qtensor",
    "typing.Any", "uuid.UUID",
}  # fmt: skip
"""Single names that ordinary files hold; they become stand-ins as well."""
METHODS = re.compile(r"_?forward\w*|fuseforward")
"""Methods of a module that a pickle may name as bound: upstream's `fuse` sets `forward` to one of them."""


class StandIn:
    """An object of a class that is not there.

    Attributes:
        qualified: Dotted path of the class.
        arguments: What the pickle would have called it with.
        state: The object's attributes.
    """

    qualified = ""

    def __new__(cls, *arguments: Any, **named: Any) -> StandIn:
        """Keep the arguments."""
        standin = super().__new__(cls)
        object.__setattr__(standin, "arguments", (arguments, named))
        object.__setattr__(standin, "state", {})
        return standin

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Nothing: a stand-in has no behaviour."""

    def __setstate__(self, state: Any) -> None:
        """Keep the attributes."""
        if isinstance(state, tuple) and len(state) == 2:
            state = {**(state[0] or {}), **(state[1] or {})}
        object.__setattr__(self, "state", dict(state) if isinstance(state, Mapping) else {"state": state})

    def __setitem__(self, key: Any, value: Any) -> None:
        """Items of dictionary-like classes are attributes here."""
        self.state[str(key)] = value

    def append(self, value: Any) -> None:
        """Items of list-like classes."""
        self.state.setdefault("items", []).append(value)

    def extend(self, values: Any) -> None:
        """Items of list-like classes."""
        self.state.setdefault("items", []).extend(values)

    def __getattr__(self, name: str) -> Any:
        """Attributes as pickled, then parameters, buffers and submodules, as on a module."""
        if name.startswith("__"):
            raise AttributeError(name)
        state = object.__getattribute__(self, "state")
        for place in (state, *(state.get(part) or {} for part in ("_parameters", "_buffers", "_modules"))):
            if name in place:
                return place[name]
        raise AttributeError(f"{self.qualified} has no attribute {name}")

    def __repr__(self) -> str:
        """The class it stands for."""
        return f"<stand-in for {self.qualified}>"

    @property
    def short(self) -> str:
        """Name of the class without its package."""
        return self.qualified.rpartition(".")[2]


class Method:
    """A bound method of a stand-in: a name, and nothing that could be called.

    Attributes:
        owner: The module.
        name: Of the method.
    """

    __slots__ = ("name", "owner")

    def __init__(self, owner: StandIn, name: str) -> None:
        self.owner, self.name = owner, name

    def __setstate__(self, state: Any) -> None:
        """Refuse to be changed.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a bound method has no state")


def is_model_class(module: str, name: str) -> bool:
    """Whether a pickled name is a class of model or training code; dotted attribute paths never are."""
    if "." in name:
        return False
    if f"{module}.{name}" in NAMES:
        return True
    return module.split(".", maxsplit=1)[0] in MODEL_PACKAGES or module.startswith(TORCH_MODULES)


@cache
def stand_in(dotted: str) -> type[StandIn]:
    """The stand-in class for a dotted path."""
    return type(dotted.rpartition(".")[2], (StandIn,), {"qualified": dotted})


def children(module: StandIn) -> dict[str, StandIn]:
    """Direct submodules by name."""
    return {name: child for name, child in (module.state.get("_modules") or {}).items() if isinstance(child, StandIn)}


def named_modules(module: StandIn, prefix: str = "") -> Iterator[tuple[str, StandIn]]:
    """The module and everything below it, with dotted names."""
    yield prefix, module
    for name, child in children(module).items():
        yield from named_modules(child, f"{prefix}.{name}" if prefix else name)


def state_dict(module: StandIn) -> dict[str, torch.Tensor]:
    """Parameters and persistent buffers by key, as `Module.state_dict` would give them."""
    state: dict[str, torch.Tensor] = {}
    for prefix, part in named_modules(module):
        transient = part.state.get("_non_persistent_buffers_set") or ()
        buffers = {name: value for name, value in (part.state.get("_buffers") or {}).items() if name not in transient}
        for name, value in {**(part.state.get("_parameters") or {}), **buffers}.items():
            if isinstance(value, torch.Tensor):
                state[f"{prefix}.{name}" if prefix else name] = value
    return state
