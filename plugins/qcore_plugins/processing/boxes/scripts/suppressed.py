"""Template: the suppression is inside the graph."""

import numpy as np

CLASSES = ()
CONFIDENCE = 0.25
MAX_DETECTIONS = 300
OUTPUTS = ("counts", "boxes", "scores", "classes")


def postprocess(outputs, place):
    """What is found, best first: name, class_id, confidence, box in pixels of the picture."""
    counts, boxes, scores, classes = (outputs[name][0] for name in OUTPUTS)
    kept = np.flatnonzero(scores[: int(counts[0])] > CONFIDENCE)[:MAX_DETECTIONS]
    boxes = boxes[kept].reshape(-1, 2, 2)
    boxes = np.clip((boxes - place["offset"]) / place["factor"], 0, place["picture"]).reshape(-1, 4)
    return [
        {"name": CLASSES[int(kind)], "class_id": int(kind), "confidence": float(score), "box": box.tolist()}
        for box, score, kind in zip(boxes, scores[kept], classes[kept], strict=True)
    ]
