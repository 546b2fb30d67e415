"""Q/DQ graphs taken literally: every operation in float, as written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx


class LiteralSession:
    """ONNX Runtime without its graph optimizations, which are what makes integers of Q/DQ."""

    executed_precision = "fake-quantized f32"

    def __init__(self, proto: onnx.ModelProto) -> None:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = onnxruntime.InferenceSession(
            proto.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference; all outputs."""
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(inputs)), strict=True))


def literal(proto: onnx.ModelProto) -> LiteralSession:
    """A session that computes what a Q/DQ graph says."""
    return LiteralSession(proto)
