"""Records of 3D boxes, and clouds with boxes seen from above."""

from __future__ import annotations

import numpy as np

from qcore_pointpillars.boxes import corners

PIXELS = 12
"""A metre."""
FIELDS = ("x", "y", "z", "length", "width", "height", "yaw")
FARTHEST = 80.0
"""Metres that are drawn, at most."""


class BirdsEye:
    """x, the way ahead, is up, and y, the left, is left."""

    def records(self, result):
        return [
            {
                "class": label,
                "confidence": round(float(score), 4),
                **{name: round(float(value), 3) for name, value in zip(FIELDS, box, strict=True)},
            }
            for box, score, label in zip(result.boxes, result.scores, result.labels, strict=True)
        ]

    def draw(self, raw, result, path):
        import cv2

        cloud = np.asarray(raw, np.float32).reshape(-1, 4)
        seen = cloud[(cloud[:, 0] >= 0) & (np.abs(cloud[:, :2]) < FARTHEST).all(1)]
        ahead = float(np.percentile(seen[:, 0], 98)) if len(seen) else 10.0
        side = float(np.percentile(np.abs(seen[:, 1]), 98)) if len(seen) else 10.0
        size = np.array([max(1, int(2 * side * PIXELS)), max(1, int(ahead * PIXELS))])

        def pixels(places):
            return np.stack([(side - places[..., 1]) * PIXELS, size[1] - places[..., 0] * PIXELS], -1).astype(int)

        picture = np.zeros((size[1], size[0], 3), np.uint8)
        dots = pixels(seen)
        inside = ((dots >= 0) & (dots < size)).all(1)
        picture[dots[inside, 1], dots[inside, 0]] = (80 + 175 * seen[inside, 3:].clip(0, 1)).astype(np.uint8)
        for box, outline in zip(result.boxes, corners(result.boxes), strict=True):
            cv2.polylines(picture, [pixels(outline).astype(np.int32)], True, (80, 220, 80), 1, cv2.LINE_AA)
            front = pixels(np.stack([box[:2], outline[:2].mean(0)]))
            cv2.line(picture, *(tuple(map(int, end)) for end in front), (80, 80, 255), 1, cv2.LINE_AA)
        done, data = cv2.imencode(".png", picture)
        assert done
        path.write_bytes(data.tobytes())
