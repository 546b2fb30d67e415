"""Template: thresholds and non-maximum suppression."""

import numpy as np

CLASSES = ()
CONFIDENCE = 0.25
IOU = 0.45
MAX_DETECTIONS = 1000
MAX_CANDIDATES = 30000
MULTI_LABEL = False  # whether one box may be reported with several classes
CLASS_AGNOSTIC = False  # whether boxes of different classes suppress each other


def postprocess(outputs, place):
    """What is found, best first: name, class_id, confidence, box in pixels of the picture."""
    boxes, scores = decode(outputs)
    if MULTI_LABEL:
        rows, classes = np.nonzero(scores > CONFIDENCE)
    else:
        classes = scores.argmax(1)
        rows = np.flatnonzero(scores.max(1) > CONFIDENCE)
        classes = classes[rows]
    scores = scores[rows, classes]
    best = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    boxes, scores, classes = boxes[rows[best]], scores[best], classes[best]
    kept = suppress(boxes, classes)
    boxes = boxes[kept].reshape(-1, 2, 2)
    boxes = np.clip((boxes - place["offset"]) / place["factor"], 0, place["picture"]).reshape(-1, 4)
    return [
        {"name": CLASSES[kind], "class_id": int(kind), "confidence": float(score), "box": box.tolist()}
        for box, score, kind in zip(boxes, scores[kept], classes[kept], strict=True)
    ]


def suppress(boxes, classes):
    """Places of the boxes that stay; they come best first."""
    apart = 0 if CLASS_AGNOSTIC else 7680 * classes[:, None]  # boxes of different classes do not overlap
    boxes = (boxes + apart).astype(np.float32)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left, kept = np.arange(len(boxes)), []
    while len(left) and len(kept) < MAX_DETECTIONS:
        best, left = left[0], left[1:]
        kept.append(int(best))
        low, high = np.maximum(boxes[left, :2], boxes[best, :2]), np.minimum(boxes[left, 2:], boxes[best, 2:])
        shared = np.clip(high - low, 0, None).prod(1)
        left = left[shared <= IOU * (areas[left] + areas[best] - shared)]
    return kept
