"""The converters `onnx-fp16` and `onnx-fp32`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from qcore.plugin import Model, Progress, Tensor
from qcore_kit.onnxfile.normal import inferred
from qcore_kit.onnxfile.passing import drop_passing
from qcore_kit.quantization.graph import from_onnx
from qcore_kit.quantization.half import half


class OnnxToFp16:
    """Float16 for the network, float32 for its inputs, its outputs and the decode."""

    def convert(self, model: Model, *, options: Mapping[str, Any], progress: Progress) -> Model:  # noqa: ARG002
        """The same graph; the contract stays as it is, because inputs and outputs do."""
        made = half(model.module, from_onnx(model.module).tail)
        return model.evolve(form=replace(model.form, precision="f16"), module=made)


class OnnxToFp32:
    """Float32 throughout: what is quantized starts from there, and a file in float16 has no other weights."""

    def convert(self, model: Model, *, options: Mapping[str, Any], progress: Progress) -> Model:  # noqa: ARG002
        """The same graph with float32 in the place of float16, in its inputs, outputs and contract too."""
        contract = replace(
            model.contract,
            inputs=tuple(map(_single, model.contract.inputs)),
            outputs=tuple(map(_single, model.contract.outputs)),
        )
        form = replace(model.form, precision="f32")
        return model.evolve(form=form, module=single(model.module), contract=contract)


def single(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with float32 in the place of float16."""
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    graph = made.graph
    for tensor in graph.initializer:
        _widen(tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16:
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    for node in graph.node:
        for entry in node.attribute:
            if entry.name in ("to", "dtype") and entry.i == onnx.TensorProto.FLOAT16:
                entry.i = onnx.TensorProto.FLOAT
            if entry.HasField("t"):
                _widen(entry.t)
    drop_passing(made, lambda: inferred(made))
    return made


def _widen(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == onnx.TensorProto.FLOAT16:
        values = onnx.numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def _single(tensor: Tensor) -> Tensor:
    return replace(tensor, dtype="float32") if tensor.dtype == "float16" else tensor
