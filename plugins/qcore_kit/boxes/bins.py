"""The decode of heads that predict each side's distance as a distribution over bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qcore_kit.boxes.arrays import constant, library


def boxes_and_logits(levels: Sequence[Any], strides: Sequence[float], bins: Any) -> tuple[Any, Any]:
    """Boxes and class logits of all levels.

    A side's distance in cells is the expectation over its bins 0, 1, ..., with softmax as probabilities (Generalized
    Focal Loss, arXiv:2006.04388, equation 6); sides are left, top, right, bottom from the middle of the cell.

    Args:
        levels: `[B, 4 bins + nc, ny, nx]` a level, channel = side * bins + bin, then class logits; torch tensors or
            NumPy arrays.
        strides: Pixels per cell, one a level.
        bins: Value of each bin in cells, of the same library: 0..15 in YOLOv9, 0..16 in YOLO-NAS.

    Returns:
        Boxes `[B, 4, N]` left, top, right, bottom in pixels, and logits `[B, nc, N]`; cells row by row, levels joined.
    """
    xp, _ = library(levels[0])
    boxes, logits = [], []
    for level, stride in zip(levels, strides, strict=True):
        batch, channels, ny, nx = level.shape
        flat = level.reshape(batch, channels, ny * nx)
        count = bins.shape[0]
        parts = flat[:, : 4 * count].reshape(batch, 4, count, ny * nx)
        sides = (_softmax(parts, xp) * bins.reshape(1, 1, count, 1)).sum(2)
        columns, rows = np.meshgrid(np.arange(nx) + 0.5, np.arange(ny) + 0.5)
        middle = constant(np.stack((columns.ravel(), rows.ravel())), flat)[None]
        boxes.append(xp.concatenate((middle - sides[:, :2], middle + sides[:, 2:]), 1) * stride)
        logits.append(flat[:, 4 * count :])
    return xp.concatenate(boxes, 2), xp.concatenate(logits, 2)


def decode_joined(levels: Sequence[Any], strides: Sequence[float], bins: Any) -> Any:
    """`[B, 4 + nc, N]`: cx, cy, w, h in pixels and class scores; YOLOv9's layout. See `boxes_and_logits`."""
    boxes, logits = boxes_and_logits(levels, strides, bins)
    xp, sigmoid = library(logits)
    low, high = boxes[:, :2], boxes[:, 2:]
    return xp.concatenate(((low + high) / 2, high - low, sigmoid(logits)), 1)


def decode_apart(levels: Sequence[Any], strides: Sequence[float], bins: Any) -> tuple[Any, Any]:
    """Boxes `[B, N, 4]` left, top, right, bottom in pixels and scores `[B, N, nc]`; YOLO-NAS's layout."""
    boxes, logits = boxes_and_logits(levels, strides, bins)
    _, sigmoid = library(logits)
    return boxes.swapaxes(1, 2), sigmoid(logits).swapaxes(1, 2)


def _softmax(parts: Any, xp: Any) -> Any:
    if xp is not np:
        return xp.softmax(parts, 2)
    raised = np.exp(parts - parts.max(2, keepdims=True))
    return raised / raised.sum(2, keepdims=True)
