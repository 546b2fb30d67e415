"""The preprocessing pipelines that YOLO-NAS models are trained with."""

from __future__ import annotations

from typing import Any

PIPELINES: dict[str, dict[str, Any]] = {
    "coco": {"fit_within": 636},
    "custom": {"fit": "long-side", "pad": "bottom-right", "channels": "BGR", "scale": None},
    "roboflow": {"fit": "long-side", "rounding": "int", "pad": "bottom-right", "channels": "BGR"},
}
"""What differs from the defaults of the letterbox: COCO pretrained, the recipe for YOLO-format data, the one for
Roboflow data."""
