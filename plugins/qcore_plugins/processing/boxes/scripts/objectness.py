"""Template: one output with boxes, objectness and class scores."""

import numpy as np

OUTPUT = "output0"  # [B, N, 5 + classes]: cx, cy, w, h in pixels of the input, objectness, class scores


def decode(outputs):
    """Boxes [N, 4] left, top, right, bottom in pixels of the input, and scores [N, classes]."""
    rows = outputs[OUTPUT][0]
    middle, half = rows[:, :2], rows[:, 2:4] / 2
    return np.concatenate((middle - half, middle + half), 1), rows[:, 5:] * rows[:, 4:5]
