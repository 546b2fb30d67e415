"""The published sizes of YOLOv5, for weights that were saved without their config."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

DEPTHS = {3: 0.33, 6: 0.67, 9: 1.0, 12: 1.33}
"""Bottlenecks of layer 6 -> depth multiple."""
LAST = {24: 3, 33: 4}
"""Number of the head's layer -> levels."""


def head_of(weights: Mapping[str, Tensor]) -> int | None:
    """Number of the layer that is a YOLOv5 head, or None where there is none."""
    numbers = [int(match[1]) for key in weights if (match := re.fullmatch(r"model\.(\d+)\.anchors", key))]
    if not numbers or weights[f"model.{numbers[0]}.anchors"].ndim != 3:
        return None
    return numbers[0] if f"model.{numbers[0]}.m.0.weight" in weights else None


def classes(weights: Mapping[str, Tensor], head: int) -> int:
    """Number of classes, by the head's shapes."""
    return weights[f"model.{head}.m.0.weight"].shape[0] // weights[f"model.{head}.anchors"].shape[1] - 5


def config(weights: Mapping[str, Tensor], head: int) -> dict[str, Any] | None:
    """The config of the published size that has these shapes, or None."""
    first = weights.get("model.0.conv.weight")
    blocks = {key.split(".")[3] for key in weights if key.startswith("model.6.m.")}
    anchors = weights[f"model.{head}.anchors"]
    if first is None or len(blocks) not in DEPTHS or LAST.get(head) != anchors.shape[0]:
        return None
    backbone, rows = _p5() if head == 24 else _p6()
    return {
        "nc": classes(weights, head),
        "depth_multiple": DEPTHS[len(blocks)],
        "width_multiple": first.shape[0] / 64,
        "anchors": int(anchors.shape[1]),
        "backbone": backbone,
        "head": rows,
    }


def _conv(width: int, kernel: int = 3, stride: int = 2) -> list[Any]:
    return [-1, 1, "Conv", [width, kernel, stride]]


def _down(width: int, number: int) -> list[list[Any]]:
    return [_conv(width), [-1, number, "C3", [width]]]


def _up(width: int, after: int, source: int) -> list[list[Any]]:
    """A level upwards: narrow, enlarge, join, and the block behind."""
    return [
        _conv(width, 1, 1),
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, source], 1, "Concat", [1]],
        [-1, 3, "C3", [after, False]],
    ]


def _back(width: int, after: int, source: int) -> list[list[Any]]:
    """A level downwards."""
    return [_conv(width), [[-1, source], 1, "Concat", [1]], [-1, 3, "C3", [after, False]]]


def _p5() -> tuple[list[Any], list[Any]]:
    stem = [[-1, 1, "Conv", [64, 6, 2, 2]]]
    backbone = [*stem, *_down(128, 3), *_down(256, 6), *_down(512, 9), *_down(1024, 3), [-1, 1, "SPPF", [1024, 5]]]
    head = [*_up(512, 512, 6), *_up(256, 256, 4), *_back(256, 512, 14), *_back(512, 1024, 10)]
    return backbone, [*head, [[17, 20, 23], 1, "Detect", ["nc", "anchors"]]]


def _p6() -> tuple[list[Any], list[Any]]:
    stem = [[-1, 1, "Conv", [64, 6, 2, 2]]]
    backbone = [*stem, *_down(128, 3), *_down(256, 6), *_down(512, 9), *_down(768, 3), *_down(1024, 3)]
    backbone.append([-1, 1, "SPPF", [1024, 5]])
    up = [*_up(768, 768, 8), *_up(512, 512, 6), *_up(256, 256, 4)]
    down = [*_back(256, 512, 20), *_back(512, 768, 16), *_back(768, 1024, 12)]
    return backbone, [*up, *down, [[23, 26, 29, 32], 1, "Detect", ["nc", "anchors"]]]
