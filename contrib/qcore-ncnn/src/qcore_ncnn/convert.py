"""The converter `onnx-ncnn`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from typing import Any

import onnx

from qcore.plugin import FileError, Model, Progress, UsageError
from qcore_kit.onnxfile.normal import normalised
from qcore_kit.onnxfile.view import View
from qcore_ncnn.format import NcnnModel
from qcore_ncnn.writing import written


class OnnxToNcnn:
    """Writes ncnn's layers for the operators of a graph, under the names that the graph has."""

    def convert(self, model: Model, *, options: Mapping[str, Any], progress: Progress) -> Model:  # noqa: ARG002
        """The layers with the same inputs, outputs and contract.

        Raises:
            FileError: The graph has an operator that ncnn has no layer for.
            UsageError: Suppression inside the graph, or a batch of a fixed size other than 1.
        """
        if model.form.head == "nms":
            raise UsageError(
                "ncnn has no NonMaxSuppression, so it cannot stand inside the graph",
                hint="omit --head nms: qcore runs the NMS after the model, with the same result",
            )
        view = View(single(model.module))
        layers, blobs = written(view)
        form = replace(model.form, format="ncnn")
        own = {"qcore-ncnn": metadata.version("qcore-ncnn")}
        tools = {**dict(model.contract.provenance.get("tools", {})), **own}
        contract = replace(model.contract, provenance={**model.contract.provenance, "tools": tools})
        return model.evolve(form=form, module=NcnnModel(layers, blobs), contract=contract)


def single(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The graph for one input: ncnn's blobs have no batch.

    Raises:
        FileError: The batch has another fixed size.
    """
    stored = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in stored]
    sizes = [value.type.tensor_type.shape.dim[:1] for value in inputs]
    for value, first in zip(inputs, sizes, strict=True):
        if first and first[0].HasField("dim_value") and first[0].dim_value != 1:
            raise FileError(
                f"input {value.name} has a batch of {first[0].dim_value}, ncnn has none",
                hint="export the checkpoint again with --batch 1, or with --batch dynamic",
            )
    if all(first and first[0].HasField("dim_value") for first in sizes):
        return proto
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for value in copy.graph.input:
        if value.name not in stored:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    del copy.graph.value_info[:]
    for value in copy.graph.output:
        value.type.tensor_type.ClearField("shape")
    return normalised(copy)
