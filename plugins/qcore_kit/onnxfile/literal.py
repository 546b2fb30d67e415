"""Inner tensors of an ONNX graph, computed literally by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx


class Inner:
    """A graph whose tensors can be asked for; nothing is fused."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self._proto = proto
        self._asked: tuple[list[str], object] | None = None

    def run(self, inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
        """The float tensors of those names, for one inference."""
        inner = [name for name in names if name not in inputs]
        values = dict(zip(inner, self._session(inner).run(inner, dict(inputs)), strict=True)) if inner else {}  # type: ignore[attr-defined]
        return {name: np.asarray(values.get(name, inputs.get(name)), np.float32) for name in names}

    def _session(self, names: list[str]) -> object:
        """What computes these tensors; the last one is kept, as callers ask for the same of several inputs."""
        if self._asked is None or self._asked[0] != names:
            import onnxruntime

            asked = onnx.ModelProto()
            asked.CopyFrom(self._proto)
            del asked.graph.output[:]
            asked.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
            settings = onnxruntime.SessionOptions()
            settings.log_severity_level = 4
            settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            session = onnxruntime.InferenceSession(
                asked.SerializeToString(), settings, providers=["CPUExecutionProvider"]
            )
            self._asked = names, session
        return self._asked[1]
