"""The loader `onnx`: detectors that exist only as an ONNX file from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx

from qcore.errors import FileError, UsageError
from qcore.forms import Form
from qcore.model import Model
from qcore_plugins.classes import class_names
from qcore_plugins.classes.text import parsed
from qcore_plugins.exported.description import describe
from qcore_plugins.onnx.format import OnnxFormat
from qcore_plugins.onnxfile.normal import normalised


class OnnxLoader:
    """A float graph, cut to the raw model where it has pre- or postprocessing inside, with its family's contract."""

    def matches(self, content: onnx.ModelProto) -> str | None:  # noqa: ARG002
        """None: what a file without a contract means, a person has to say, with `--loader onnx`."""
        return None

    def load(self, content: onnx.ModelProto, *, options: Mapping[str, Any]) -> Model:
        """The model with a contract.

        Options: `family` (found from the output shapes where only one has them), `names` (a file, one name a line),
        `input` and `output` (tensors to cut at), `imgsz` (of a dynamic input).

        Raises:
            FileError: The graph is no detector of the family, or is quantized already.
            UsageError: The family is open, or a tensor to cut at is not there.
        """
        formats = OnnxFormat()
        if formats.form(content).encoding != "float":
            raise FileError("the ONNX file is quantized already", hint="give the float file it was made from")
        graph = cut(content, options.get("input"), options.get("output"))
        graph = normalised(sized(graph, options.get("imgsz")))
        stored = None if options.get("names") else _stored_names(content)
        contract, notes = describe(*formats.signature(graph), options=options, stored=stored)
        return Model(Form("onnx", encoding="float", precision="f32"), graph, contract, notes)


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
    made = onnx.utils.Extractor(inferred).extract_model(starts, ends)
    del made.graph.value_info[:]
    return made


def sized(graph: onnx.ModelProto, wanted: Any) -> onnx.ModelProto:
    """The graph with a fixed input `[B, 3, H, W]`; a dynamic batch becomes 1.

    Raises:
        UsageError: The size is open and was not given, or is fixed and another was given.
    """
    made = onnx.ModelProto()
    made.CopyFrom(graph)
    dims = made.graph.input[0].type.tensor_type.shape.dim
    if len(dims) != 4:
        return made
    if not dims[0].dim_value:
        dims[0].dim_value = 1
    sizes = (wanted, wanted) if isinstance(wanted, int) else wanted
    for dim, size in zip(dims[2:], sizes or (None, None), strict=True):
        if dim.dim_value and size and dim.dim_value != int(size):
            raise UsageError(f"the graph's input is fixed to {dim.dim_value}, not {size}", hint="leave --imgsz out")
        if not dim.dim_value and size is None:
            raise UsageError("the graph's input has no fixed size", hint="say it with --imgsz HEIGHT WIDTH")
        dim.dim_value = dim.dim_value or int(size)
    del made.graph.value_info[:]
    return made


def _stored_names(content: onnx.ModelProto) -> list[str] | None:
    """Names that exporters write into the metadata, as the text of a dict or list.

    Raises:
        FileError: There are names, and they cannot be told.
    """
    hint = "give them with --loader-option names=FILE, one a line"
    for entry in content.metadata_props:
        if entry.key == "names":
            try:
                return class_names(parsed(entry.value), "metadata of the ONNX file", hint=hint) or None
            except ValueError as error:
                raise FileError(f"metadata of the ONNX file: the class names: {error}", hint=hint) from error
    return None
