"""Graphs of older opsets, raised to one whose Q/DQ every profile can use."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.version_converter

from qcore.plugin import FileError
from qcore_kit.onnxfile.normal import normalised

PER_CHANNEL = 13
"""From here on a DequantizeLinear may have a scale per channel."""
HALF = 19
"""From here on Q/DQ may have float16 on their float side."""
RELATIVE, ABSOLUTE = 1e-4, 1e-5
"""Allowed difference between both graphs, as a part of the largest value: adapters may order a sum differently."""


def opset(proto: onnx.ModelProto) -> int:
    """Version of the standard operators."""
    return max((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), default=1)


def raised(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same computation at an opset that all profiles can be written in; the graph itself if it is high enough.

    What ONNX's converter makes is run beside the original on random values. If it cannot raise the graph as far as
    float16 needs, it is raised as far as scales per channel do.

    Args:
        proto: A float graph.

    Raises:
        FileError: The graph cannot have scales per channel.
    """
    before = opset(proto)
    problem = ""
    for version in (HALF, PER_CHANNEL):
        if before >= version:
            return proto
        try:
            converted = onnx.version_converter.convert_version(proto, version)
        except Exception as error:  # noqa: BLE001 - the converter raises RuntimeError, and others from its adapters
            problem = problem or str(error).strip().splitlines()[0]
            continue
        converted.ir_version = max(proto.ir_version, onnx.helper.find_min_ir_version_for(list(converted.opset_import)))
        if _equal(proto, converted):
            converted = normalised(converted)
            del converted.metadata_props[:]
            converted.metadata_props.extend(proto.metadata_props)
            return converted
        problem = problem or "the result differs"
    if before >= PER_CHANNEL:
        return proto
    raise FileError(
        f"the graph has opset {before}, scales per channel need {PER_CHANNEL}, and ONNX cannot raise it ({problem})",
        hint=f"export the model with opset {HALF} or later",
    )


def _equal(one: onnx.ModelProto, other: onnx.ModelProto) -> bool:
    """Whether ONNX Runtime computes the same outputs of random inputs."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    providers = ["CPUExecutionProvider"]
    try:
        both = [
            onnxruntime.InferenceSession(p.SerializeToString(), settings, providers=providers) for p in (one, other)
        ]
        rng = np.random.default_rng(0)
        feed = {given.name: _values(given, rng) for given in both[0].get_inputs()}
        first, second = (session.run(None, feed) for session in both)
    except Exception:  # noqa: BLE001 - the runtime's own errors have no common class
        return False
    return len(first) == len(second) and all(map(_close, first, second))


def _values(given: object, rng: np.random.Generator) -> np.ndarray:
    kinds = {"tensor(float16)": np.float16, "tensor(float)": np.float32, "tensor(double)": np.float64}
    shape = [size if isinstance(size, int) else 1 for size in given.shape]  # type: ignore[attr-defined]
    kind = kinds.get(given.type)  # type: ignore[attr-defined]
    return rng.random(shape).astype(kind) if kind else rng.integers(0, 255, shape).astype(np.uint8)


def _close(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    largest = float(np.abs(one).max(initial=0)) if one.dtype.kind == "f" else 0.0
    return np.allclose(one, other, rtol=RELATIVE, atol=max(ABSOLUTE, RELATIVE * largest), equal_nan=True)
