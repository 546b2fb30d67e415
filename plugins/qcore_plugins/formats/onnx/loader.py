"""The loader `onnx`: detectors that exist only as an ONNX file from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx

from qcore.plugin import FileError, Model, UsageError
from qcore_kit.detectors import metadata
from qcore_kit.detectors.contracts import layout
from qcore_kit.detectors.description import describe
from qcore_kit.detectors.recognition import unreadable
from qcore_plugins.formats.onnx.format import OnnxFormat
from qcore_plugins.formats.onnx.network import network

TRIAL = (640, 640)
"""Height and width at which a graph of an open size is looked at."""


class OnnxLoader:
    """A graph, cut to the raw model where it has pre- or postprocessing inside, with the contract of its head."""

    def matches(self, content: onnx.ModelProto) -> str | None:
        """Files whose writer has said what they are; what others mean, a person has to say, with `--loader onnx`."""
        return metadata.writer(_texts(content))

    def load(self, content: onnx.ModelProto, *, options: Mapping[str, Any]) -> Model:
        """The model with a contract.

        Options: `family` (by default the head is recognised), `names` (a file, see `classes.text.from_file`), `input`
        and `output` (tensors to cut at), `imgsz` (of a dynamic input; by default what the metadata say).

        Raises:
            FileError: The graph is no detector, or none that qcore reads, or not of the stated family.
            UsageError: The family is open, or a tensor to cut at is not there.
        """
        formats = OnnxFormat()
        said = metadata.of_texts(_texts(content), names=not options.get("names"))
        graph = cut(content, options.get("input"), options.get("output"))
        try:
            graph = formats.prepared(sized(graph, options.get("imgsz"), said.size))
        except UsageError:
            if not options.get("imgsz"):
                _tried(graph)
            raise
        contract, notes = describe(network(graph, *formats.signature(graph)), options=options, said=said)
        return Model(formats.form(graph), graph, contract, notes)


def _tried(graph: onnx.ModelProto) -> None:
    """Raise FileError where a graph of an open size is nothing that qcore reads at any size."""
    formats = OnnxFormat()
    try:
        trial = formats.prepared(sized(graph, None, TRIAL))
        network_ = network(trial, *formats.signature(trial))
    except FileError:
        return
    unreadable(network_)


def _texts(content: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in content.metadata_props}


def cut(content: onnx.ModelProto, first: str | None, last: str | None) -> onnx.ModelProto:
    """The part of a graph between two tensors; None stands for its own input or outputs.

    Args:
        content: The whole graph.
        first: Name of the tensor that becomes the input.
        last: Names of the tensors that become outputs, separated by commas.

    Raises:
        UsageError: A tensor is not in the graph.
    """
    if first is None and last is None:
        return content
    inferred = onnx.shape_inference.infer_shapes(content)
    there = {name for node in inferred.graph.node for name in (*node.input, *node.output)}
    starts = [first] if first else [value.name for value in inferred.graph.input]
    ends = last.split(",") if last else [value.name for value in inferred.graph.output]
    if missing := [name for name in (*starts, *ends) if name not in there]:
        raise UsageError(
            f"the graph has no tensor {', '.join(missing)}", hint="a viewer such as netron shows the names of tensors"
        )
    model = onnx.utils.Extractor(inferred).extract_model(starts, ends)
    del model.graph.value_info[:]
    return model


def sized(graph: onnx.ModelProto, wanted: Any, usual: tuple[int, int] | None = None) -> onnx.ModelProto:
    """The graph with a fixed picture as its input; a dynamic batch becomes 1.

    Args:
        graph: Its first input is the picture.
        wanted: Height and width, or one number for both; None for none.
        usual: Height and width of a dynamic input for which none is wanted.

    Raises:
        UsageError: The size is open and was not given, or is fixed and another was given.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    stored = {tensor.name for tensor in copy.graph.initializer}
    pictures = [value for value in copy.graph.input if value.name not in stored]
    dims = pictures[0].type.tensor_type.shape.dim if pictures else []
    if len(dims) != 4:
        return copy
    if not dims[0].dim_value:
        dims[0].dim_value = 1
    axes = (1, 2) if layout([dim.dim_value or dim.dim_param for dim in dims]) == "NHWC" else (2, 3)
    sizes = (wanted, wanted) if isinstance(wanted, int) else wanted
    for place, axis in enumerate(axes):
        dim, size = dims[axis], int(sizes[place]) if sizes else None
        if dim.dim_value and size and dim.dim_value != size:
            raise UsageError(f"the graph's input is fixed to {dim.dim_value}, not {size}", hint="leave --imgsz out")
        size = size or (usual[place] if usual else None)
        if not dim.dim_value and size is None:
            raise UsageError("the graph's input has no fixed size", hint="say it with --imgsz HEIGHT WIDTH")
        dim.dim_value = dim.dim_value or size
    del copy.graph.value_info[:]
    return copy
