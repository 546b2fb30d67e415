"""Template: one output with a row of box corners and class scores for each box."""

OUTPUT = "output0"  # [B, N, 4 + classes]: left, top, right, bottom in pixels of the input, class scores


def decode(outputs):
    """Boxes [N, 4] left, top, right, bottom in pixels of the input, and scores [N, classes]."""
    rows = outputs[OUTPUT][0]
    return rows[:, :4], rows[:, 4:]
