"""The detector in a checkpoint: config, weights and names, however they were saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from qcore_plugins.checkpoint.plain import plain
from qcore_plugins.checkpoint.standins import StandIn, state_dict
from qcore_plugins.checkpoint.unpickler import Checkpoint
from qcore_plugins.classes import number


@dataclass(frozen=True)
class Stored:
    """What a checkpoint holds of one model.

    Attributes:
        config: The dict of rows, with the class count of the training.
        weights: State dict.
        names: Class names as the file keeps them, None where it has none.
        family: As a plain dictionary says it; empty for a pickled module.
        source: The pickled module, where there is one.
    """

    config: dict[str, Any]
    weights: dict[str, Tensor]
    names: Any = None
    family: str = ""
    source: StandIn | None = None

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

    Understood are pickled modules, `ema` before `model`, and plain dictionaries with the keys family, config,
    state_dict and names.
    """
    data = content.data
    if isinstance(data, Mapping) and isinstance(data.get("state_dict"), Mapping) and "family" in data:
        if not _is_config(data.get("config")):
            return None
        weights = data["state_dict"]
        if not all(isinstance(key, str) and isinstance(value, Tensor) for key, value in weights.items()):
            return None
        return Stored(_counted(data["config"]), dict(weights), plain(data.get("names")), str(data["family"]))
    module = data
    if isinstance(data, Mapping):
        module = data.get("ema") if isinstance(data.get("ema"), StandIn) else data.get("model")
    if not isinstance(module, StandIn):
        return None
    config = plain(module.state.get("yaml"))
    if not isinstance(config, Mapping) or not _is_config(config):
        return None
    names = plain(module.state.get("names"))
    return Stored(_counted(config, module.state.get("nc")), state_dict(module), names, "", module)


def _counted(config: Mapping[str, Any], count: Any = None) -> dict[str, Any]:
    """The config with its class count as a number, the module's own where it has one."""
    own = number(count)
    return {**config, "nc": number(config["nc"]) if own is None else own}


def _is_config(config: Any) -> bool:
    if not isinstance(config, Mapping) or number(config.get("nc")) is None:
        return False
    parts = [config.get("backbone"), config.get("head")]
    if not all(isinstance(part, (list, tuple)) for part in parts) or not parts[1]:
        return False
    return all(isinstance(row, (list, tuple)) and len(row) == 4 for part in parts for row in part)
