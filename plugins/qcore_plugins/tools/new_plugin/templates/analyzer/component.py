"""The analyzer `mynet`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qcore.plugin import CalibrationData, Model, Progress


class Mynet:
    """Largest weight over the mean magnitude: how much of the eight bits the usual weight has left."""

    def analyze(
        self, model: Model, *, calibration: CalibrationData, options: Mapping[str, Any], progress: Progress
    ) -> list[dict[str, Any]]:
        """One row a layer, the widest first."""
        import numpy as np
        from onnx import numpy_helper

        from qcore_kit.quantization.graph import from_onnx

        stored = {tensor.name: tensor for tensor in model.module.graph.initializer}
        rows = []
        for layer in from_onnx(model.module).weighted:
            sizes = np.abs(numpy_helper.to_array(stored[layer.weight]))
            rows.append({"layer": layer.layer, "spread": round(float(sizes.max() / sizes.mean()), 3)})
        return sorted(rows, key=lambda row: (-row["spread"], row["layer"]))
