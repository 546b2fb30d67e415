"""The loader `openvino`: detectors that exist only as an OpenVINO file from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import openvino

from qcore.plugin import FileError, Model, UsageError
from qcore_kit.detectors import metadata
from qcore_kit.detectors.contracts import layout
from qcore_kit.detectors.description import describe
from qcore_kit.detectors.recognition import unreadable
from qcore_plugins.runtimes.openvino.convert import whole_silu
from qcore_plugins.runtimes.openvino.format import OpenVinoFormat
from qcore_plugins.runtimes.openvino.network import network

TRIAL = (640, 640)
"""Height and width at which a model of an open size is looked at."""


class OpenVinoLoader:
    """A model with the contract of its head."""

    def matches(self, content: openvino.Model) -> str | None:
        """Files whose writer has said what they are; of others, a person has to say it, with `--loader openvino`."""
        info = _section(content, metadata.MODEL_INFO)
        return metadata.writer_of_model_info(info) if info else metadata.writer(_texts(content))

    def load(self, content: openvino.Model, *, options: Mapping[str, Any]) -> Model:
        """The model with a contract.

        Options: `family` (by default the head is recognised), `names` (a file, see `classes.text.from_file`), `imgsz`
        (of a dynamic input).

        Raises:
            FileError: The model is no detector, or none that qcore reads, or not of the stated family.
            UsageError: The family or the input size is open.
        """
        formats = OpenVinoFormat()
        info, named = _section(content, metadata.MODEL_INFO), bool(options.get("names"))
        said = (
            metadata.of_model_info(info, names=not named)
            if info
            else metadata.of_texts(_texts(content), names=not named)
        )
        model = content.clone()
        try:
            _sized(model, options.get("imgsz") or said.size)
        except UsageError:
            if not options.get("imgsz"):
                _tried(model)
            raise
        model = formats.prepared(model)
        form = formats.form(model)
        if form.encoding == "float":
            whole_silu(model)
        contract, notes = describe(network(model, *formats.signature(model)), options=options, said=said)
        provenance = {**contract.provenance, "tools": {"openvino": openvino.__version__}}
        return Model(form, model, replace(contract, provenance=provenance), notes)


def _tried(model: openvino.Model) -> None:
    """Raise FileError where a model of an open size is nothing that qcore reads at any size."""
    trial = model.clone()
    try:
        _sized(trial, TRIAL)
    except FileError:
        return
    unreadable(network(trial, *OpenVinoFormat().signature(trial)))


def _texts(content: openvino.Model) -> dict[str, str]:
    """The metadata of the ONNX file that a model was converted from, which OpenVINO keeps."""
    return {key: str(value) for key, value in _section(content, "framework").items()}


def _section(content: openvino.Model, name: str) -> dict[str, Any]:
    """A section of rt_info; empty where there is none."""
    if not content.has_rt_info([name]):
        return {}
    section = content.get_rt_info([name]).value
    return (
        {str(key): getattr(value, "value", value) for key, value in section.items()}
        if isinstance(section, dict)
        else {}
    )


def _sized(model: openvino.Model, wanted: Any) -> None:
    """Give a dynamic input its size; a dynamic batch becomes 1."""
    shape = model.inputs[0].get_partial_shape()
    if shape.is_static or len(shape) != 4:
        return
    sizes = (wanted, wanted) if isinstance(wanted, int) else wanted
    known = [dim.get_length() if dim.is_static else "" for dim in shape]
    axes = (1, 2) if layout(known) == "NHWC" else (2, 3)
    for axis, size in ((0, 1), *zip(axes, sizes or (None, None), strict=True)):
        if shape[axis].is_dynamic and size is None:
            raise UsageError("the model's input has no fixed size", hint="say it with --imgsz HEIGHT WIDTH")
        if shape[axis].is_dynamic:
            shape[axis] = int(size)
    try:
        model.reshape(shape)
    except RuntimeError as error:
        sides = "x".join(str(shape[axis].get_length()) for axis in axes)
        raise FileError(
            f"the model cannot run at {sides}", hint="pass the size it was exported for with --imgsz"
        ) from error
