"""The published sizes of YOLOv9 with a single head, for weights that were saved without their config."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

SIZES: dict[str, tuple[Any, ...]] = {
    "t": (3, 16, 32, [32, 32, 16], 64, [64, 64, 32], 96, [96, 96, 48], 128, [128, 128, 64], [128, 64], 48, 64),
    "s": (3, 32, 64, [64, 64, 32], 128, [128, 128, 64], 192, [192, 192, 96], 256, [256, 256, 128], [256, 128], 96, 128),
    "m": (1, 32, 64, [128, 128, 64], 240, [240, 240, 120], 360, [360, 360, 180], 480, [480, 480, 240], [480, 240],
          180, 240),
    "c": (1, 64, 128, [256, 128, 64], 256, [512, 256, 128], 512, [512, 512, 256], 512, [512, 512, 256], [512, 256],
          256, 512),
}  # fmt: skip
"""Repeats; widths of layers 0 to 9 in their order; widths of layers 16 and 19."""
UP = {"t": ([96, 96, 48], [64, 64, 32]), "s": ([192, 192, 96], [128, 128, 64]),
      "m": ([360, 360, 180], [240, 240, 120]), "c": ([512, 512, 256], [256, 256, 128])}  # fmt: skip
"""Widths of layers 12 and 15."""
BODY = re.compile(r"model\.\d+\.cv2\.0\.cv1\.conv\.weight")
"""A key that only YOLOv9's stages have."""


def is_yolov9(weights: Mapping[str, Tensor]) -> bool:
    """Whether a state dict has YOLOv9's stages and bins."""
    return any(BODY.fullmatch(key) for key in weights) and any(".dfl" in key for key in weights)


def head_of(weights: Mapping[str, Tensor]) -> int:
    """Number of the head's layer."""
    return max(int(match[1]) for key in weights if (match := re.match(r"model\.(\d+)\.dfl", key)))


def classes(weights: Mapping[str, Tensor], otherwise: int = 0) -> int:
    """Number of classes, by the shapes of the head's main branch."""
    head = head_of(weights)
    branches = [weights.get(f"model.{head}.cv{index}.0.2.weight") for index in (7, 5, 3)]
    return next((branch.shape[0] for branch in branches if branch is not None), otherwise)


def configs(weights: Mapping[str, Tensor]) -> Iterator[dict[str, Any]]:
    """Configs of published sizes that begin with these widths."""
    first, box = weights.get("model.0.conv.weight"), weights.get("model.22.cv2.0.1.conv.weight")
    if first is None or box is None:
        return
    head = "Detect" if box.shape[0] == box.shape[1] else "DDetect"  # whose box branch has groups
    for size, row in SIZES.items():
        if first.shape[0] == row[1]:
            yield {"nc": classes(weights), "anchors": 3, **_rows(size, head)}


def styles(weights: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Class branches that the head can have."""
    deep = any(".cv3.0.0.0.conv.weight" in key for key in weights)
    return ("depthwise",) if deep else ("upstream", "legacy")


def _rows(size: str, head: str) -> dict[str, Any]:
    n, a, b, second, d3, e4, d5, e6, d7, e8, spp, d16, d19 = SIZES[size]
    e12, e15 = UP[size]
    down = "ADown" if size == "c" else "AConv"

    def block(widths: list[int]) -> list[Any]:
        return [-1, 1, "RepNCSPELAN4", [*widths, n]]

    def grow(source: int, widths: list[int]) -> list[list[Any]]:
        return [[-1, 1, "nn.Upsample", [None, 2, "nearest"]], [[-1, source], 1, "Concat", [1]], block(widths)]

    def shrink(width: int, source: int, widths: list[int]) -> list[list[Any]]:
        return [[-1, 1, down, [width]], [[-1, source], 1, "Concat", [1]], block(widths)]

    backbone = [
        [-1, 1, "Conv", [a, 3, 2]],
        [-1, 1, "Conv", [b, 3, 2]],
        [-1, 1, "ELAN1", second] if size in "ts" else block(second),
        [-1, 1, down, [d3]], block(e4), [-1, 1, down, [d5]], block(e6), [-1, 1, down, [d7]], block(e8),
    ]  # fmt: skip
    rows = [
        [-1, 1, "SPPELAN", spp], *grow(6, e12), *grow(4, e15), *shrink(d16, 12, e12), *shrink(d19, 9, e8),
        [[15, 18, 21], 1, head, ["nc"]],
    ]  # fmt: skip
    return {"backbone": backbone, "head": rows}
