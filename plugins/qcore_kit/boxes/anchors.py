"""The YOLOv5 decode: raw levels to boxes, objectness and class scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qcore_kit.boxes.arrays import constant, library


def decode(levels: Sequence[Any], anchors: Any, strides: Sequence[float]) -> Any:
    """Decode all levels.

    With s = sigmoid of the logits, the cell's column and row g, and the anchor A in pixels:
    centre = (2 s - 0.5 + g) stride, size = (2 s)^2 A (YOLOv5 from v3.0 on).

    Args:
        levels: Logits, one `[B, na, ny, nx, 5 + nc]` a level; torch tensors or NumPy arrays.
        anchors: `[nl, na, 2]` width and height in units of the level's stride, of the same library.
        strides: Pixels per cell, one a level.

    Returns:
        `[B, N, 5 + nc]`: cx, cy, w, h in input pixels, objectness, class scores; rows ordered by level, anchor,
        row, column.
    """
    xp, sigmoid = library(levels[0])
    rows = []
    for logits, anchor, stride in zip(levels, anchors, strides, strict=True):
        batch, na, ny, nx, no = logits.shape
        s = sigmoid(logits)
        grid = _grid(ny, nx, logits)
        centre = (s[..., 0:2] * 2.0 - 0.5 + grid) * stride
        size = (s[..., 2:4] * 2.0) ** 2 * (anchor * stride).reshape(1, na, 1, 1, 2)
        rows.append(xp.concatenate((centre, size, s[..., 4:]), -1).reshape(batch, na * ny * nx, no))
    return xp.concatenate(rows, 1)


def _grid(ny: int, nx: int, like: Any) -> Any:
    """Column and row of each cell, `[1, 1, ny, nx, 2]`."""
    columns, rows = np.meshgrid(np.arange(nx, dtype=np.float32), np.arange(ny, dtype=np.float32))
    cells = np.stack((columns, rows), -1)[None, None]
    return constant(cells, like)
