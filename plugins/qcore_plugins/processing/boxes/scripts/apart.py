"""Template: boxes and scores as two outputs."""

BOXES = "boxes"  # [B, N, 4]: left, top, right, bottom in pixels of the input
SCORES = "scores"  # [B, N, classes]


def decode(outputs):
    """Boxes [N, 4] left, top, right, bottom in pixels of the input, and scores [N, classes]."""
    return outputs[BOXES][0], outputs[SCORES][0]
