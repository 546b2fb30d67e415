"""Template: one output with the best class of each box and its score."""

import numpy as np

OUTPUT = "output0"  # [B, N, 6]: left, top, right, bottom in pixels of the input, score, class


def decode(outputs):
    """Boxes [N, 4] left, top, right, bottom in pixels of the input, and scores [N, classes]."""
    rows = outputs[OUTPUT][0]
    return rows[:, :4], np.where(rows[:, 5:] == np.arange(len(CLASSES)), rows[:, 4:5], 0)
