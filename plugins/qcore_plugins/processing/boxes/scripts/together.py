"""Template: one output with boxes and class scores."""

import numpy as np

OUTPUT = "output0"  # [B, 4 + classes, N]: cx, cy, w, h in pixels of the input, class scores


def decode(outputs):
    """Boxes [N, 4] left, top, right, bottom in pixels of the input, and scores [N, classes]."""
    rows = outputs[OUTPUT][0].T
    middle, half = rows[:, :2], rows[:, 2:4] / 2
    return np.concatenate((middle - half, middle + half), 1), rows[:, 4:]
