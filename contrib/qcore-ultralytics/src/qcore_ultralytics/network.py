"""Networks built from the rows of a checkpoint's config, as its keys and shapes say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from qcore.plugin import FileError
from qcore_kit.boxes.bins import decode_joined
from qcore_ultralytics import blocks
from qcore_ultralytics.layout import decode

WIDE: dict[str, Any] = {
    "Conv": blocks.Conv, "C2f": blocks.C2f, "C3": blocks.C3, "C3k2": blocks.C3k2, "SPPF": blocks.SPPF,
    "C2PSA": blocks.C2PSA,
}  # fmt: skip
"""Blocks whose first argument is a number of channels that the scale changes."""
DEEP = ("m", "l", "x")
"""Sizes in which every C3k2 has C3 inside, whatever its row says."""
REPEATED = {"C2f", "C3", "C3k2", "C2PSA"}
MOST = 300
"""Boxes that the end-to-end head gives."""


def scale(config: Mapping[str, Any]) -> tuple[float, float, float]:
    """Factors of depth and width, and the most channels."""
    scales = config.get("scales")
    if not scales:
        return float(config.get("depth_multiple", 1)), float(config.get("width_multiple", 1)), math.inf
    chosen = scales.get(config.get("scale") or next(iter(scales))) or next(iter(scales.values()))
    return float(chosen[0]), float(chosen[1]), float(chosen[2])


class Network(nn.Module):
    """A detector.

    Args:
        config: Rows, classes, scale.
        keys: Name -> shape of the weights; what they show goes before what the config says. Without any, the published
            rules decide.
        names: Of the classes.
        branch: `one2many` or `one2one`.

    Raises:
        FileError: A row has a block that is not read, or the branch is not there.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        keys: Mapping[str, Sequence[int]],
        names: Sequence[str] = (),
        branch: str = "one2many",
    ) -> None:
        super().__init__()
        self.config = dict(config)
        depth, width, most = scale(config)
        rows = [*config["backbone"], *config["head"]]
        made: list[nn.Module] = []
        outs: list[int] = []
        self.sources: list[list[int]] = []
        for place, (source, number, block, args) in enumerate(rows):
            sources = [source] if isinstance(source, int) else list(source)
            where = [each if each >= 0 else place + each for each in sources]
            inputs = [outs[each] if each >= 0 else int(config.get("ch", 3)) for each in where]
            count = max(round(number * depth), 1) if number > 1 else number
            name = str(block).removeprefix("nn.")
            if place == len(rows) - 1:
                made.append(self._head(name, inputs, keys, config, f"model.{place}.", branch))
            elif name == "Upsample":
                made.append(nn.Upsample(scale_factor=float(args[1]), mode=str(args[2])))
                outs.append(inputs[0])
            elif name == "Concat":
                made.append(nn.Identity())
                outs.append(sum(inputs))
            elif name in WIDE:
                c2 = math.ceil(min(args[0], most) * width / 8) * 8
                made.append(self._block(name, inputs[0], c2, count, list(args[1:]), keys, f"model.{place}."))
                outs.append(c2)
            else:
                raise FileError(f"the block {name} is not read", hint=f"blocks: {', '.join(sorted(WIDE))}")
            self.sources.append(where)
        self.model = nn.ModuleList(made)
        self.nc = self.head.nc
        self.names = list(names) or [str(index) for index in range(self.nc)]
        self.branch = branch
        self.strides: list[float] = self._measured()

    def _block(
        self, name: str, c1: int, c2: int, count: int, args: list[Any], keys: Mapping[str, Any], path: str
    ) -> nn.Module:
        if name == "C3k2":
            first = f"{path}m.0."
            given = [*args, *(False, 0.5, False)[len(args) :]]
            attention = f"{first}1.attn.qkv.conv.weight" in keys if keys else bool(given[2])
            deep = bool(given[0]) or self.config.get("scale") in DEEP
            c3k = f"{first}cv3.conv.weight" in keys if keys else deep
            return blocks.C3k2(c1, c2, count, c3k, float(given[1]), attention)
        if name == "SPPF":
            return blocks.SPPF(c1, c2, *args, act=len(args) < 2)
        block: nn.Module = WIDE[name](c1, c2, *([count] if name in REPEATED else []), *args)
        return block

    def _head(
        self,
        name: str,
        channels: list[int],
        keys: Mapping[str, Sequence[int]],
        config: Mapping[str, Any],
        path: str,
        branch: str,
    ) -> nn.Module:
        keys = keys or self._published(channels, config, path)
        pairs = tuple(prefix for prefix in ("", "one2one_") if f"{path}{prefix}cv2.0.2.weight" in keys)
        self.prefix = "one2one_" if branch == "one2one" else ""
        if name != "Detect" or not pairs:
            raise FileError(f"the head {name} is not a detector's", hint="detectors end with Detect")
        if self.prefix not in pairs:
            has = "one2one" if pairs == ("one2one_",) else "one2many"
            raise FileError(
                f"the branch {branch} is not in the file", hint=f"--loader-option branch={has}: the only one there"
            )
        box, of = (keys[f"{path}{pairs[0]}{part}"] for part in ("cv2.0.2.weight", "cv3.0.2.weight"))
        return blocks.Detect(
            int(of[0]),
            channels,
            int(box[0]) // 4,
            (int(box[1]), int(of[1])),
            depthwise=f"{path}{pairs[0]}cv3.0.0.0.conv.weight" in keys,
            pairs=pairs,
        )

    def _published(self, channels: list[int], config: Mapping[str, Any], path: str) -> dict[str, tuple[int, ...]]:
        """Names and shapes that tell a head apart, by the published rules."""
        bins, nc = int(config.get("reg_max", 16)), int(config["nc"])
        box, of = max(16, channels[0] // 4, 4 * bins), max(channels[0], min(nc, 100))
        blocks_ = {str(row[2]) for part in ("backbone", "head") for row in config[part]}
        shapes: dict[str, tuple[int, ...]] = {}
        for prefix in ("", "one2one_") if config.get("end2end") else ("",):
            shapes[f"{path}{prefix}cv2.0.2.weight"] = (4 * bins, box, 1, 1)
            shapes[f"{path}{prefix}cv3.0.2.weight"] = (nc, of, 1, 1)
            if "C3k2" in blocks_:
                shapes[f"{path}{prefix}cv3.0.0.0.conv.weight"] = (channels[0], 1, 3, 3)
        return shapes

    @property
    def head(self) -> blocks.Detect:
        """The head."""
        head = self.model[-1]
        assert isinstance(head, blocks.Detect)
        return head

    def _measured(self) -> list[float]:
        """Pixels of a cell of each level that the head reads."""
        sizes: list[float] = []
        place: float
        for index, sources in enumerate(self.sources):
            layer = self.model[index]
            place = 1.0 if sources[0] < 0 else sizes[sources[0]]
            if isinstance(layer, blocks.Conv):
                place *= layer.conv.stride[0]
            elif isinstance(layer, nn.Upsample):
                place /= float(layer.scale_factor)  # type: ignore[arg-type]
            sizes.append(place)
        return [sizes[source] for source in self.sources[-1]]

    def features(self, x: Tensor) -> list[Tensor]:
        """What the head reads."""
        kept: list[Tensor] = []
        for index, sources in enumerate(self.sources[:-1]):
            given = [kept[source] if source >= 0 else x for source in sources]
            layer = self.model[index]
            kept.append(torch.cat(given, 1) if len(given) > 1 else layer(given[0]))
        return [kept[source] for source in self.sources[-1]]

    def raw(self, x: Tensor) -> list[Tensor]:
        """Levels of the branch, `[B, 4 * bins + nc, H, W]`."""
        return self.head.levels(self.features(x), self.prefix)

    def corners(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes `[B, N, 4]` xyxy in input pixels and scores `[B, N, nc]`, of a head without bins."""
        boxes, scores = decode(self.raw(x), self.strides)
        return boxes, scores

    def forward(self, x: Tensor) -> Tensor:
        """RGB in 0..1 `[B, 3, H, W]` -> `[B, 4 + nc, N]`: cx, cy, w, h, class scores; of one2one `[B, 300, 6]`."""
        if self.prefix:
            return self.selected(*self.corners(x))
        if self.head.bins > 1:
            joined: Tensor = decode_joined(self.raw(x), self.strides, self.head.dfl.conv.weight.flatten())
            return joined
        boxes, scores = self.corners(x)
        first, last = boxes.split([2, 2], -1)
        return torch.cat(((first + last) / 2, last - first, scores), -1).transpose(1, 2)

    def selected(self, boxes: Tensor, scores: Tensor) -> Tensor:
        """The best boxes in order: left, top, right, bottom, score, class. The anchors with the best classes, then
        the best pairs of anchor and class among them."""
        count = min(MOST, scores.shape[1])
        anchors = scores.amax(-1).topk(count, 1).indices
        chosen = scores.gather(1, anchors.unsqueeze(-1).expand(-1, -1, self.nc))
        best, pairs = chosen.flatten(1).topk(count, 1)
        rows = torch.div(pairs, self.nc, rounding_mode="floor")
        corners = boxes.gather(1, anchors.gather(1, rows).unsqueeze(-1).expand(-1, -1, 4))
        return torch.cat((corners, best.unsqueeze(-1), (pairs % self.nc).unsqueeze(-1).to(best.dtype)), -1)
