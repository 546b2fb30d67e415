"""The detector in a checkpoint: config, weights and names, however they were saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from qcore.plugin import counted
from qcore_kit.checkpoints import parts
from qcore_kit.checkpoints.plain import plain
from qcore_kit.checkpoints.sizes import trained_size
from qcore_kit.checkpoints.standins import StandIn, children, state_dict
from qcore_kit.checkpoints.unpickler import Checkpoint
from qcore_kit.classes.reading import number


@dataclass(frozen=True)
class Stored:
    """What a checkpoint holds of one model.

    Attributes:
        config: The dict of rows, with the class count of the training.
        weights: State dict.
        names: Class names as the file keeps them, None where it has none.
        family: As a plain dictionary says it; empty for a pickled module.
        source: The pickled module, where there is one.
        size: Height and width of the training's input, where the file says it.
        assumed: What was left out or taken for granted, to be told; empty for nothing.
    """

    config: dict[str, Any]
    weights: dict[str, Tensor]
    names: Any = None
    family: str = ""
    source: StandIn | None = None
    size: tuple[int, int] | None = None
    assumed: str = ""

    @property
    def head(self) -> str:
        """Name of the last row's block."""
        return str(self.config["head"][-1][2])

    @property
    def package(self) -> str:
        """Top-level package of the pickled class: `models` for the upstream repositories, `ultralytics`."""
        return self.source.qualified.split(".")[0] if self.source else ""


def stored(content: Checkpoint) -> Stored | None:
    """The model in a checkpoint whose config is a list of rows, or None.

    Understood are pickled modules, wrapped or not, `ema` before `model`, and plain dictionaries with the keys family,
    config, state_dict and names.

    Raises:
        FileError: Under `ema` is something that is no network.
    """
    data = content.data
    if isinstance(data, Mapping) and isinstance(data.get("state_dict"), Mapping) and "family" in data:
        config = plain(data.get("config"))
        weights = data["state_dict"]
        fits = all(isinstance(key, str) and isinstance(value, Tensor) for key, value in weights.items())
        if not is_config(config) or not fits:
            return None
        return _found(config, weights, plain(data.get("names")), str(data["family"]), size=trained_size(data))
    modules, weights = _modules(content)
    if not modules:
        return None
    config = next((each for each in (plain(module.state.get("yaml")) for module in modules) if is_config(each)), None)
    if config is None:
        return None
    count = number(modules[0].state.get("nc"))
    config = config if count is None else {**config, "nc": count}
    names = next((plain(module.state["names"]) for module in modules if module.state.get("names") is not None), None)
    return _found(config, weights, names, source=modules[0], size=trained_size(data, modules))


def bare(content: Checkpoint) -> Stored:
    """What a checkpoint holds that has weights and no config; both are empty where it has no weights either.

    Raises:
        FileError: Under `ema` is something that is no network.
    """
    data = content.data
    names = plain(data.get("names")) if isinstance(data, Mapping) else None
    return _found({}, parts.bare(data, content.path), names, size=trained_size(data))


def _found(
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    names: Any,
    family: str = "",
    source: StandIn | None = None,
    size: tuple[int, int] | None = None,
) -> Stored:
    kept, quantizers = parts.cleaned(weights)
    rows = _wired(config, source) if source else config
    whole = {**rows, **_channels(kept), "nc": number(config.get("nc"))}
    return Stored(whole, kept, names, family, source, size, left_out(quantizers))


def left_out(quantizers: int) -> str:
    """What to say of a checkpoint of quantization-aware training; nothing without quantizers."""
    if not quantizers:
        return ""
    told = counted(quantizers, "quantizer")
    return f"float weights of quantization-aware training: {told} and their ranges are left out"


def _channels(weights: Mapping[str, Tensor]) -> dict[str, int]:
    """Channels of the input by the first convolution's weights, which the config may not know."""
    for index in range(3):
        for member, phases in (("conv.weight", 1), ("conv.conv.weight", 4)):
            weight = weights.get(f"model.{index}.{member}")
            if weight is not None and weight.ndim == 4:
                return {"ch": weight.shape[1] // phases}
    return {}


def _wired(config: Mapping[str, Any], source: StandIn) -> dict[str, Any]:
    """The config with the inputs of each row as the pickled layers have them."""
    layers = list(children(children(source)["model"]).values())
    first = len(config["backbone"])
    if len(layers) != first + len(config["head"]):
        return dict(config)
    rows = [
        [layer.state.get("f", row[0]), *row[1:]]
        for layer, row in zip(layers, [*config["backbone"], *config["head"]], strict=True)
    ]
    return {**config, "backbone": rows[:first], "head": rows[first:]}


def _modules(content: Checkpoint) -> tuple[list[StandIn], Mapping[str, Tensor]]:
    """The module with its wrappers, inside first, and the weights to use: its own, or averaged ones saved beside it."""
    data = content.data
    if not isinstance(data, Mapping):
        modules = parts.chain(data)
        return modules, state_dict(modules[0]) if modules else {}
    averaged = parts.averaged(data, content.path)
    if isinstance(averaged, list):
        return [*averaged, *parts.chain(data.get("model"))], state_dict(averaged[0])
    modules = parts.chain(data.get("model"))
    if not modules:
        return [], {}
    own = state_dict(modules[0])
    if averaged is None:
        return modules, own
    statistics = {key: value for key, value in own.items() if _is_statistic(key)}
    return modules, {**statistics, **parts.cleaned(averaged)[0]}


def _is_statistic(key: str) -> bool:
    """Whether averaging leaves a tensor out because it is not trained."""
    return key.endswith((".running_mean", ".running_var", ".num_batches_tracked", ".anchors"))


def is_config(config: Any) -> bool:
    """Whether something is a dict of rows with a class count."""
    if not isinstance(config, Mapping) or number(config.get("nc")) is None:
        return False
    rows: list[Any] = [config.get("backbone"), config.get("head")]
    if not all(isinstance(part, (list, tuple)) for part in rows) or not rows[1]:
        return False
    return all(isinstance(row, Sequence) and len(row) == 4 for part in rows for row in part)
