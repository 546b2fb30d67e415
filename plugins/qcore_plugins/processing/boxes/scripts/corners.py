"""Template: one output with box corners and class scores."""

OUTPUT = "output0"  # [B, 4 + classes, N]: left, top, right, bottom in pixels of the input, class scores


def decode(outputs):
    """Boxes [N, 4] left, top, right, bottom in pixels of the input, and scores [N, classes]."""
    rows = outputs[OUTPUT][0].T
    return rows[:, :4], rows[:, 4:]
