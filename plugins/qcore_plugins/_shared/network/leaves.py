"""Layers of torch.nn built from what their pickled originals say of themselves."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from qcore.plugin import FileError
from qcore_kit.checkpoints.standins import StandIn
from qcore_plugins._shared.network.conv import BN_EPS, BN_MOMENTUM

ACTIVATIONS: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {
    "SiLU": (nn.SiLU, ()),
    "Swish": (nn.SiLU, ()),
    "MemoryEfficientSwish": (nn.SiLU, ()),
    "ReLU": (nn.ReLU, ()),
    "ReLU6": (nn.ReLU6, ()),
    "LeakyReLU": (nn.LeakyReLU, ("negative_slope",)),
    "Hardswish": (nn.Hardswish, ()),
    "Hardsigmoid": (nn.Hardsigmoid, ()),
    "Hardtanh": (nn.Hardtanh, ("min_val", "max_val")),
    "Mish": (nn.Mish, ()),
    "MemoryEfficientMish": (nn.Mish, ()),
    "GELU": (nn.GELU, ("approximate",)),
    "ELU": (nn.ELU, ("alpha",)),
    "CELU": (nn.CELU, ("alpha",)),
    "SELU": (nn.SELU, ()),
    "Softplus": (nn.Softplus, ("beta", "threshold")),
    "Sigmoid": (nn.Sigmoid, ()),
    "Tanh": (nn.Tanh, ()),
    "PReLU": (nn.PReLU, ("num_parameters",)),
    "Identity": (nn.Identity, ()),
}
"""Activations by class name, and the attributes that they are built from, in the order of their arguments; a config's
expression is looked up here, never evaluated."""
POOLS: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {
    "MaxPool2d": (nn.MaxPool2d, ("kernel_size", "stride", "padding", "dilation", "ceil_mode")),
    "AvgPool2d": (nn.AvgPool2d, ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")),
    "Upsample": (nn.Upsample, ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor")),
    "UpsamplingNearest2d": (nn.UpsamplingNearest2d, ("size", "scale_factor")),
    "UpsamplingBilinear2d": (nn.UpsamplingBilinear2d, ("size", "scale_factor")),
    "PixelShuffle": (nn.PixelShuffle, ("upscale_factor",)),
    "PixelUnshuffle": (nn.PixelUnshuffle, ("downscale_factor",)),
    "ZeroPad2d": (nn.ZeroPad2d, ("padding",)),
}  # fmt: skip
"""Layers without parameters, likewise."""
NEUTRAL = {"Identity", "Dropout", "Dropout2d", "DropPath", "Silence"}
"""Layers that pass their input on at inference."""
NORMS = {"BatchNorm2d", "SyncBatchNorm", "FrozenBatchNorm2d"}
"""Normalizations that are the same at inference."""


@dataclass(frozen=True)
class Leaf:
    """Where a layer stands.

    Attributes:
        path: Its pickled name.
        file: What to name in errors.
        weight: Its weight, if it has one.
        bias: Its bias, if it has one.
    """

    path: str
    file: str
    weight: Tensor | None = None
    bias: Tensor | None = None


def leaf(part: StandIn, at: Leaf) -> nn.Module | None:
    """The layer that a pickled object describes, with fresh weights; None for a class that is not known here.

    Raises:
        FileError: It computes at inference what this network cannot be exported with.
    """
    name = part.short.removeprefix("Quant")
    if name == "Conv2d":
        return _conv(part.state, at)
    if name in NORMS:
        return _norm(part.state, at)
    if name in NEUTRAL:
        return nn.Identity()
    kinds = ACTIVATIONS if name in ACTIVATIONS else POOLS
    if name not in kinds:
        return None
    kind, attributes = kinds[name]
    given = {attribute: part.state[attribute] for attribute in attributes if attribute in part.state}
    if name == "Upsample" and given.get("size") is None and given.get("scale_factor") is None:
        return None
    return _made(kind, given, at)


def _made(kind: Callable[..., nn.Module], given: Mapping[str, Any], at: Leaf) -> nn.Module:
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        told = ", ".join(f"{name} {value!r}" for name, value in given.items())
        raise FileError(f"{at.file}: {at.path} cannot be built with {told} ({error})") from error


def _conv(state: Mapping[str, Any], at: Leaf) -> nn.Module | None:
    if at.weight is None or at.weight.ndim != 4:
        return None
    groups = int(state.get("groups", 1))
    given = {name: state[name] for name in ("stride", "padding", "dilation", "padding_mode") if name in state}
    sizes = {
        "in_channels": at.weight.shape[1] * groups,
        "out_channels": at.weight.shape[0],
        "kernel_size": tuple(at.weight.shape[2:]),
    }
    return _made(nn.Conv2d, {**sizes, **given, "groups": groups, "bias": at.bias is not None}, at)


def _norm(state: Mapping[str, Any], at: Leaf) -> nn.Module:
    if state.get("track_running_stats", True) is False:
        raise FileError(
            f"{at.file}: {at.path} is a BatchNorm that normalizes each batch by itself (track_running_stats is False)",
            hint="a model that keeps running statistics can be quantized; train it so",
        )
    size = at.weight.shape[0] if at.weight is not None else int(state["num_features"])
    affine = at.weight is not None
    return nn.BatchNorm2d(size, eps=float(state.get("eps", BN_EPS)), momentum=BN_MOMENTUM, affine=affine)


def activation(expression: str) -> nn.Module:
    """An activation from a config's expression such as `nn.LeakyReLU(0.1)`.

    Raises:
        FileError: It is not in `ACTIVATIONS`, or its arguments are no literals.
    """
    text = expression.strip()
    try:
        tree = ast.parse(text, mode="eval").body
        call = tree if isinstance(tree, ast.Call) else None
        named = call.func if call else tree
        name = named.attr if isinstance(named, ast.Attribute) else getattr(named, "id", text)
        values = [ast.literal_eval(value) for value in call.args] if call else []
        keywords = {word.arg or "": ast.literal_eval(word.value) for word in call.keywords} if call else {}
    except (SyntaxError, ValueError) as error:
        raise FileError(f"activation {text} cannot be read") from error
    if name not in ACTIVATIONS:
        raise FileError(f"activation {name} is not supported", hint=f"supported: {', '.join(sorted(ACTIVATIONS))}")
    kind, attributes = ACTIVATIONS[name]
    given = {**dict(zip(attributes, values, strict=False)), **keywords}
    return _made(
        kind, {key: value for key, value in given.items() if key in attributes}, Leaf(f"activation {name}", "config")
    )
