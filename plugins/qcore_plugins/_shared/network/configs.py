"""Configs that a person gives for weights that were saved without theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qcore.plugin import FileError, read_text
from qcore_kit.checkpoints.plain import plain
from qcore_kit.checkpoints.stored import is_config

HINT = "--loader-option config=FILE"


def config_file(path: str) -> dict[str, Any]:
    """The config in a YAML file such as upstream's `yolov5s.yaml`.

    Raises:
        FileError: It is absent, no YAML, or not rows of a backbone and a head with a class count.
    """
    import yaml

    try:
        document = plain(yaml.safe_load(read_text(path)))
    except yaml.YAMLError as error:
        raise FileError(f"{path}: not YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(document, Mapping) or not is_config({"nc": 1, **document}):
        raise FileError(
            f"{path}: not the config of a network",
            hint="it needs the keys backbone and head, rows of [from, number, module, args], as training was given it",
        )
    return dict(document)


def no_config(file: Any, family: str) -> FileError:
    """The refusal of weights whose config nobody gives and whose shapes are no published size's."""
    return FileError(
        f"{file}: weights of a {family} without their config, and their shapes are those of no published size",
        hint=f"{HINT} gives it: the YAML of the model that training was started with",
    )
