"""Networks from the config rows that checkpoints of the YOLO family carry: `[from, number, module, args]`."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from qcore.plugin import FileError
from qcore_plugins._shared.network.conv import BN_EPS, BN_MOMENTUM, Concat

PICTURE = -1
"""Source index of the input."""
PASSING = {"Silence", "nn.Identity", "Identity"}
"""Rows that hand their input on."""
PROBE = 256
"""Side in pixels of the picture that strides are read off from; a multiple of every stride in use."""


@dataclass(frozen=True)
class Row:
    """One layer of a config.

    Attributes:
        index: Its number in the config, and so in the keys of the state dict.
        sources: Numbers of the layers it reads; `PICTURE` is the input.
        number: How often, before the depth multiple.
        name: Name of the block.
        args: Its arguments, strings resolved.
    """

    index: int
    sources: tuple[int, ...]
    number: int
    name: str
    args: tuple[Any, ...]


Maker = Callable[[list[int], tuple[Any, ...]], tuple[nn.Module, Any]]
"""Channels of the inputs and arguments -> module and its output channels."""


@dataclass(frozen=True)
class Blocks:
    """What the rows of a family may name.

    Attributes:
        family: What to call it in errors.
        wide: Blocks called with (c1, c2, ...), whose c2 the width multiple scales.
        repeated: Those of them that take the number of repeats as an argument.
        plain: Everything else, beside `COMMON`.
        heads: Last rows: (nc, args, channels of the inputs) -> module.
        skip_scaling: Whether a width that equals anchors * (classes + 5) stays as it is.
    """

    family: str
    wide: Mapping[str, Callable[..., nn.Module]]
    repeated: frozenset[str]
    heads: Mapping[str, Callable[[int, tuple[Any, ...], list[int]], nn.Module]]
    plain: Mapping[str, Maker] = field(default_factory=dict)
    skip_scaling: bool = True

    @property
    def supported(self) -> str:
        """All names, for errors."""
        names = {*self.wide, *self.plain, *COMMON, *PASSING}
        return f"{', '.join(sorted(names))}, and {' or '.join(sorted(self.heads))} as the last row"


def _norm(inputs: list[int], _: tuple[Any, ...]) -> tuple[nn.Module, int]:
    return nn.BatchNorm2d(inputs[0], eps=BN_EPS, momentum=BN_MOMENTUM), inputs[0]


COMMON: dict[str, Maker] = {
    "Concat": lambda inputs, args: (Concat(*args), sum(inputs)),
    "nn.Upsample": lambda inputs, args: (nn.Upsample(*args), inputs[0]),
    "nn.MaxPool2d": lambda inputs, args: (nn.MaxPool2d(*args), inputs[0]),
    "nn.BatchNorm2d": _norm,
}


def resolve(config: Mapping[str, Any]) -> list[Row]:
    """The rows of a config with absolute sources; rows that only hand on their input are gone, numbers are kept."""
    rows: list[Row] = []
    passed: dict[int, int] = {PICTURE: PICTURE}
    for index, (origin, number, name, arguments) in enumerate([*config["backbone"], *config["head"]]):
        origins = [origin] if isinstance(origin, int) else list(origin)
        absolute = [index + at if at < 0 else at for at in origins]
        sources = tuple(passed.get(at, at) for at in absolute)
        if name in PASSING:
            passed[index] = sources[0]
            continue
        args = tuple(_argument(value, config) for value in arguments)
        rows.append(Row(index, sources, int(number), str(name), args))
    return rows


def reached(rows: Sequence[Row]) -> list[Row]:
    """The rows that the last one needs, itself included; numbers are kept."""
    by_index = {row.index: row for row in rows}
    needed: set[int] = set()
    waiting = [rows[-1].index]
    while waiting:
        index = waiting.pop()
        if index not in needed and index != PICTURE:
            needed.add(index)
            waiting += by_index[index].sources
    return [row for row in rows if row.index in needed]


class Layers(nn.Module):
    """A network of rows.

    Attributes:
        rows: Renumbered without gaps: a row's index is its place in `model`.
        numbers: Number of each row in the config it came from.
        channels: Of the input.
        strides: Input pixels per cell of each level that the head gets.
    """

    def __init__(self, config: Mapping[str, Any], rows: Sequence[Row], blocks: Blocks) -> None:
        """Build with fresh weights.

        Raises:
            FileError: A row names a block that is not supported, or the last row is no head.
        """
        super().__init__()
        self.numbers = [row.index for row in rows]
        place = {PICTURE: PICTURE} | {number: index for index, number in enumerate(self.numbers)}
        self.rows = [
            replace(row, index=place[row.index], sources=tuple(place[at] for at in row.sources)) for row in rows
        ]
        self.model = nn.Sequential(*_build(config, self.rows, blocks))
        self.channels = int(config.get("ch") or config.get("channels") or 3)
        self.strides: list[float] = []
        self.measure()

    def measure(self) -> None:
        """Read the strides off the network, anew where its parts were changed."""
        first = next(layer for layer, row in zip(self.model, self.rows, strict=True) if PICTURE in row.sources)
        if conv := next((part for part in first.modules() if isinstance(part, nn.Conv2d)), None):
            self.channels = conv.in_channels // getattr(first, "phases", 1)
        body = copy.deepcopy(self.model[:-1]).to("meta").eval()
        with torch.no_grad():
            levels = self._features(body, torch.zeros(1, self.channels, PROBE, PROBE, device="meta"))
        self.strides = [PROBE / level.shape[-1] for level in levels]

    def features(self, x: Tensor) -> list[Tensor]:
        """What the head gets: one `[B, C, H / stride, W / stride]` a level."""
        return self._features(self.model[:-1], x)

    def _features(self, layers: Any, x: Tensor) -> list[Tensor]:
        outputs: list[Any] = []
        for layer, row in zip(layers, self.rows[:-1], strict=True):
            given = [outputs[at] if at != PICTURE else x for at in row.sources]
            several = len(given) > 1 or isinstance(layer, Concat)
            outputs.append(layer(given if several else given[0]))
        return [outputs[at] for at in self.rows[-1].sources]


def _build(config: Mapping[str, Any], rows: Sequence[Row], blocks: Blocks) -> list[nn.Module]:
    nc, anchors = int(config["nc"]), config.get("anchors", 0)
    no = (anchors if isinstance(anchors, int) else len(anchors[0]) // 2) * (nc + 5)
    layers: list[nn.Module] = []
    widths: list[Any] = []
    first = int(config.get("ch") or config.get("channels") or 3)
    for row in rows:
        inputs = [widths[at] if at != PICTURE else first for at in row.sources]
        if row.name in blocks.heads:
            if row is not rows[-1]:
                raise FileError(f"row {row.index} of the config: {row.name} is not the last row")
            return [*layers, blocks.heads[row.name](nc, row.args, inputs)]
        repeats = max(round(row.number * float(config.get("depth_multiple", 1.0))), 1) if row.number > 1 else row.number
        maker = blocks.plain.get(row.name) or COMMON.get(row.name)
        if row.name in blocks.wide:
            layer, width = _wide(config, row, inputs, repeats, blocks, no if blocks.skip_scaling else -1)
        elif maker:
            layer, width = maker(inputs, row.args)
        else:
            raise FileError(
                f"row {row.index} of the config: block {row.name} is not supported by the {blocks.family} loader",
                hint=f"supported: {blocks.supported}",
            )
        layers.append(layer)
        widths.append(width)
    raise FileError(
        f"the config ends with {rows[-1].name if rows else 'nothing'}, not with {' or '.join(blocks.heads)}"
    )


def _wide(
    config: Mapping[str, Any], row: Row, inputs: list[Any], repeats: int, blocks: Blocks, unscaled: int
) -> tuple[nn.Module, int]:
    width = int(row.args[0])
    if width != unscaled:
        divisor = int(config.get("channel_multiple") or 8)
        width = math.ceil(width * float(config.get("width_multiple", 1.0)) / divisor) * divisor
    counted = [repeats] if row.name in blocks.repeated else []
    arguments = [inputs[0], width, *counted, *row.args[1:]]
    number = 1 if counted else repeats
    blocks_ = [blocks.wide[row.name](*arguments) for _ in range(number)]
    return (nn.Sequential(*blocks_) if number > 1 else blocks_[0]), width


def _argument(value: Any, config: Mapping[str, Any]) -> Any:
    """Strings of a config as what they mean; nothing is evaluated."""
    if not isinstance(value, str):
        return value
    known = {"None": None, "nc": int(config["nc"]), "anchors": config.get("anchors"), "True": True, "False": False}
    if value in known:
        return known[value]
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        return value
