"""What ONNX Runtime made of the layers of a graph."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import onnx
import onnxruntime

from qcore.plugin import FileError
from qcore_kit.abilities import Executed

INTEGER = {
    "ConvInteger", "DynamicQuantizeMatMul", "MatMulInteger", "MatMulIntegerToFloat", "QGemm", "QLinearConv",
    "QLinearMatMul",
}  # fmt: skip
"""Operations of optimized graphs that compute with 8-bit integers."""
FLOAT = {"Conv", "ConvTranspose", "FusedConv", "FusedGemm", "FusedMatMul", "Gemm", "MatMul", "NhwcFusedConv"}
"""Those that compute in float: layers where their second input is stored or follows from what is."""


def executed(proto: bytes, settings: onnxruntime.SessionOptions) -> Executed:
    """How many layers with weights compute in integers, in the graph as the runtime optimizes it.

    Args:
        proto: The model.
        settings: It runs with these.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimized.onnx"
        settings.optimized_model_filepath = str(path)
        try:
            onnxruntime.InferenceSession(proto, settings, providers=["CPUExecutionProvider"])
        except Exception as error:
            if shutil.disk_usage(folder).free > 2 * len(proto):
                raise
            raise FileError(
                f"{folder}: no space for the optimized graph", hint="free some space, or set TMPDIR to another folder"
            ) from error
        finally:
            settings.optimized_model_filepath = ""
        graph = onnx.load(path).graph
    stored = {tensor.name for tensor in graph.initializer}
    integer, floats = 0, []
    for node in graph.node:
        if all(name in stored for name in node.input if name):
            stored.update(node.output)
        elif node.op_type in INTEGER:
            integer += 1
        elif node.op_type in FLOAT and node.input[1] in stored:
            floats.append(node.name or node.output[0])
    return Executed(integer + len(floats), integer, tuple(floats))
