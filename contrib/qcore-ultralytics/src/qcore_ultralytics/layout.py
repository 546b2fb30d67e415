"""The layout of YOLO26's heads before their decode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from qcore.plugin import Arrays, Tensor
from qcore_kit.boxes.arrays import library

SIDES = ("left", "top", "right", "bottom")


def decode(levels: Sequence[Any], strides: Sequence[float]) -> tuple[Any, Any]:
    """Boxes `[B, N, 4]` xyxy in input pixels and scores `[B, N, classes]` of levels `[B, 4 + classes, H, W]`.

    The first four channels are the distances of left, top, right and bottom from the middle of the cell, in cells; they
    may be negative.

    Args:
        levels: Arrays of NumPy or tensors of torch.
        strides: Pixels of a cell of each level.
    """
    xp, _ = library(levels[0])
    boxes, scores = [], []
    for level, stride in zip(levels, strides, strict=True):
        batch, channels, height, width = level.shape
        rows = level.reshape(batch, channels, height * width).swapaxes(1, 2)
        column, row = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        middle = _like(np.stack([column.ravel(), row.ravel()], 1).astype(np.float32), level)
        corners = [middle - rows[..., :2], middle + rows[..., 2:4]]
        boxes.append(xp.concatenate(corners, -1) * stride)
        scores.append(_sigmoid(rows[..., 4:]))
    return xp.concatenate(boxes, 1), xp.concatenate(scores, 1)


def _like(values: np.ndarray, other: Any) -> Any:
    if isinstance(other, np.ndarray):
        return values
    import torch

    return torch.from_numpy(values).to(other.device)


def _sigmoid(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        return 1 / (1 + np.exp(-np.clip(values, -80, 80)))
    return values.sigmoid()


class RawDistances:
    """Levels of logits and distances, with `stride`."""

    def read(self, outputs: Sequence[Tensor], values: Arrays) -> tuple[Any, Any]:
        """Boxes and scores."""
        strides = [float(output.attributes["stride"]) for output in outputs]
        return decode([values[output.name] for output in outputs], strides)

    def parts(
        self,
        output: Tensor,
        values: Any,
        size: tuple[int, int],  # noqa: ARG002 - of the protocol
        classes: Sequence[str],  # noqa: ARG002
    ) -> dict[str, tuple[Any, Callable[[tuple[int, ...]], str]]]:
        """Distances and logits."""

        def place(index: tuple[int, ...]) -> str:
            _, channel, row, column = index
            return f"stride {output.attributes.get('stride')}, row {row}, column {column}, channel {channel}"

        return {"distances": (values[:, :4], place), "logits": (values[:, 4:], place)}
