"""Boxes `[x, y, z, length, width, height, yaw]`: centre and sizes in metres, yaw in radians around z, 0 along x."""

from __future__ import annotations

import numpy as np

ANCHOR = (3.9, 1.6, 1.56)
"""Length, width and height of a car in metres: the KITTI configuration of PointPillars."""
ANCHOR_Z = -1.0
"""Height of its centre; the lidar of KITTI hangs 1.73 m above the road."""
YAWS = (0.0, np.pi / 2)
BIN_OFFSET = np.pi / 4
"""Where the first direction bin begins: cars mostly stand along an axis, which is then far from a border."""


def anchors(area, stride):
    """Anchors of all cells, `[rows * columns * 2, 7]`, in the order of the head's outputs.

    Args:
        area: x, y and z of one corner, then of the other.
        stride: Edge of a cell of the head in metres.
    """
    rows, columns = (round((area[axis + 3] - area[axis]) / stride) for axis in (1, 0))
    y, x, yaw = np.meshgrid(
        area[1] + (np.arange(rows) + 0.5) * stride, area[0] + (np.arange(columns) + 0.5) * stride, YAWS, indexing="ij"
    )
    made = np.empty((*x.shape, 7), np.float32)
    made[..., 0], made[..., 1], made[..., 2], made[..., 3:6], made[..., 6] = x, y, ANCHOR_Z, ANCHOR, yaw
    return made.reshape(-1, 7)


def encode(boxes, anchor):
    """What the head has to give for boxes `[n, 7]` at anchors `[n, 7]`; equation 1 of the paper."""
    diagonal = np.hypot(anchor[:, 3], anchor[:, 4])[:, None]
    return np.concatenate(
        [
            (boxes[:, :2] - anchor[:, :2]) / diagonal,
            (boxes[:, 2:3] - anchor[:, 2:3]) / anchor[:, 5:6],
            np.log(boxes[:, 3:6] / anchor[:, 3:6]),
            boxes[:, 6:] - anchor[:, 6:],
        ],
        axis=1,
    )


def decode(offsets, bins, anchor):
    """The inverse of `encode`; `bins` `[n]` say which of the two opposite directions is meant."""
    diagonal = np.hypot(anchor[:, 3], anchor[:, 4])[:, None]
    yaw = anchor[:, 6:] + offsets[:, 6:] - BIN_OFFSET
    yaw = yaw - np.floor(yaw / np.pi) * np.pi + BIN_OFFSET + np.pi * bins[:, None]
    return np.concatenate(
        [
            anchor[:, :2] + offsets[:, :2] * diagonal,
            anchor[:, 2:3] + offsets[:, 2:3] * anchor[:, 5:6],
            anchor[:, 3:6] * np.exp(np.clip(offsets[:, 3:6], -2, 2)),
            np.mod(yaw + np.pi, 2 * np.pi) - np.pi,
        ],
        axis=1,
    )


def direction(yaw):
    """The bin of a yaw, 0 or 1."""
    return (np.mod(yaw - BIN_OFFSET, 2 * np.pi) >= np.pi).astype(np.int64)


def corners(boxes):
    """Corners seen from above, `[n, 4, 2]`."""
    half = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) / 2
    local = half[None] * boxes[:, None, 3:5]
    cos, sin = np.cos(boxes[:, 6])[:, None], np.sin(boxes[:, 6])[:, None]
    x, y = local[..., 0], local[..., 1]
    return np.stack([x * cos - y * sin, x * sin + y * cos], -1) + boxes[:, None, :2]


def overlaps(one, other):
    """Intersection over union of boxes `[n, 7]` and `[m, 7]`: from above and in space, each `[n, m]`."""
    import cv2

    flat, space = np.zeros((2, len(one), len(other)))
    reach = [np.hypot(boxes[:, 3], boxes[:, 4]) / 2 for boxes in (one, other)]
    near = np.linalg.norm(one[:, None, :2] - other[None, :, :2], axis=-1) < reach[0][:, None] + reach[1]
    for row, column in np.argwhere(near):
        a, b = one[row].astype(float), other[column].astype(float)
        rectangles = [
            ((each[0] - a[0], each[1] - a[1]), (each[3], each[4]), float(np.degrees(each[6]))) for each in (a, b)
        ]
        _, shared = cv2.rotatedRectangleIntersection(*rectangles)
        if shared is None or len(shared) < 3:
            continue
        area = cv2.contourArea(cv2.convexHull(shared))
        height = max(0, min(a[2] + a[5] / 2, b[2] + b[5] / 2) - max(a[2] - a[5] / 2, b[2] - b[5] / 2))
        flat[row, column] = area / (a[3] * a[4] + b[3] * b[4] - area)
        space[row, column] = area * height / (a[3:6].prod() + b[3:6].prod() - area * height)
    return flat, space


def suppress(boxes, scores, limit):
    """Indices that stay, the best first: of boxes that overlap from above by more than `limit`, the best."""
    order = np.argsort(-scores, kind="stable")
    flat, _ = overlaps(boxes[order], boxes[order])
    kept: list[int] = []
    for place in range(len(order)):
        if not (flat[place, kept] > limit).any():
            kept.append(place)
    return order[kept]
