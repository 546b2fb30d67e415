"""YOLOv9 built from the config dict of its checkpoint, a dual head converted to the single one on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from qcore_kit.boxes.bins import decode_joined
from qcore_plugins._shared.network.conv import Conv
from qcore_plugins._shared.network.rows import Blocks, Layers, Row, reached, resolve
from qcore_plugins.families.yolov9 import blocks
from qcore_plugins.families.yolov9.head import Head

BRANCHES = {
    "Detect": 1, "DDetect": 1, "DualDetect": 2, "DualDDetect": 2, "TripleDetect": 3, "TripleDDetect": 3,
}  # fmt: skip
"""Heads, and how many sets of levels each gets: the last set is the main one, the others served training only."""
LETTERS = {1: ("cv2", "cv3", "dfl"), 2: ("cv4", "cv5", "dfl2"), 3: ("cv6", "cv7", "dfl3")}
"""Names of the box, class and bin members of each set."""
WIDE = {
    "Conv": Conv, "RepNCSPELAN4": blocks.RepCSPELAN, "ELAN1": blocks.ELAN, "AConv": blocks.AConv,
    "ADown": blocks.ADown, "SPPELAN": blocks.SPPELAN,
}  # fmt: skip


def _blocks(style: str, grouped: bool) -> Blocks:
    def head(nc: int, args: tuple[Any, ...], inputs: list[int]) -> nn.Module:  # noqa: ARG001
        return Head(nc, inputs, grouped=grouped, style=style)

    return Blocks(
        family="YOLOv9",
        wide=WIDE,
        repeated=frozenset(),
        heads=dict.fromkeys(BRANCHES, head),
        plain={
            "CBLinear": lambda inputs, args: (blocks.CBLinear(inputs[0], *args), list(args[0])),
            "CBFuse": lambda inputs, args: (blocks.CBFuse(*args), inputs[-1]),
        },
        skip_scaling=style == "upstream",
    )


class YoloV9(Layers):
    """A YOLOv9 detector with one head.

    Attributes:
        config: The dict it was built from.
        sets: Sets of levels in the head of the checkpoint; more than 1 means it was converted.
        nc: Number of classes.
        names: Class names.
    """

    def __init__(self, config: Mapping[str, Any], names: Sequence[str] = (), *, style: str = "upstream") -> None:
        """Build the inference network with fresh weights.

        Args:
            config: Keys of upstream's yaml: nc, backbone, head, ...
            names: Class names; numbers by default.
            style: `upstream`, or the class branch of ultralytics: `legacy` or `depthwise`.

        Raises:
            FileError: A row names a block that is not supported.
        """
        rows = resolve(config)
        sets = BRANCHES.get(rows[-1].name, 1)
        rows = reached([*rows[:-1], _main(rows[-1], sets)])
        grouped = "DDetect" in rows[-1].name
        super().__init__(config, rows, _blocks(style, grouped))
        self.sets = sets
        self.config = dict(config)
        self.nc = int(config["nc"])
        self.names = list(names) or [str(index) for index in range(self.nc)]

    @property
    def detect(self) -> Head:
        """The head."""
        head = self.model[-1]
        assert isinstance(head, Head)  # noqa: S101 - the only head that is built
        return head

    def forward(self, x: Tensor) -> Tensor:
        """RGB in 0..1 `[B, 3, H, W]` -> `[B, 4 + nc, N]`: cx, cy, w, h in input pixels, class scores."""
        decoded: Tensor = decode_joined(self.raw(x), self.strides, self.detect.dfl.bins)
        return decoded

    def raw(self, x: Tensor) -> list[Tensor]:
        """Raw levels `[B, 64 + nc, ny, nx]`."""
        levels: list[Tensor] = self.detect(self.features(x))
        return levels

    def converted(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights of the checkpoint under this network's keys; those of auxiliary branches are left out."""
        renamed = {key: self.renamed(key) for key in weights}
        return {here: weights[key] for key, here in renamed.items() if here is not None}

    def renamed(self, key: str) -> str | None:
        """This network's name for a part of the checkpoint's; None where it has none."""
        _, number, rest = (*key.split(".", 2), "", "")[:3]
        if not number.isdigit() or int(number) not in self.numbers:
            return None
        place = self.numbers.index(int(number))
        if place == len(self.numbers) - 1:
            main = dict(zip(LETTERS[self.sets], LETTERS[1], strict=True))
            member, dot, below = rest.partition(".")
            if member not in main:
                return None if self.sets > 1 and rest else f"model.{place}.{rest}".rstrip(".")
            rest = f"{main[member]}{dot}{below}"
        return f"model.{place}.{rest}".rstrip(".")


def _main(head: Row, sets: int) -> Row:
    """The head with its main levels only: the last of the sets it gets."""
    levels = len(head.sources) // sets
    return replace(head, sources=head.sources[-levels:])
