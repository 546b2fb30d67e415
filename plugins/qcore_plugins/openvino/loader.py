"""The loader `openvino`: detectors that exist only as an OpenVINO file from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import openvino

from qcore.errors import FileError, UsageError
from qcore.forms import Form
from qcore.model import Model
from qcore_plugins.exported.description import describe
from qcore_plugins.openvino.convert import whole_silu
from qcore_plugins.openvino.format import OpenVinoFormat


class OpenVinoLoader:
    """A float model with its family's contract."""

    def matches(self, content: openvino.Model) -> str | None:  # noqa: ARG002
        """None: what a file without a contract means, a person has to say, with `--loader openvino`."""
        return None

    def load(self, content: openvino.Model, *, options: Mapping[str, Any]) -> Model:
        """The model with a contract.

        Options: `family` (found from the output shapes where only one has them), `names` (a file, one name a line),
        `imgsz` (of a dynamic input).

        Raises:
            FileError: The model is no detector of the family, or is quantized already.
            UsageError: The family or the input size is open.
        """
        formats = OpenVinoFormat()
        if formats.form(content).encoding != "float":
            raise FileError("the OpenVINO file is quantized already", hint="give the float file it was made from")
        model = content.clone()
        _sized(model, options.get("imgsz"))
        whole_silu(model)
        contract, notes = describe(*formats.signature(model), options=options, stored=None)
        provenance = {**contract.provenance, "tools": {"openvino": openvino.__version__}}
        form = Form("openvino", encoding="float", precision="f32")
        return Model(form, model, replace(contract, provenance=provenance), notes)


def _sized(model: openvino.Model, wanted: Any) -> None:
    """Give a dynamic input its size; a dynamic batch becomes 1."""
    shape = model.inputs[0].get_partial_shape()
    if shape.is_static or len(shape) != 4:
        return
    sizes = (wanted, wanted) if isinstance(wanted, int) else wanted
    for axis, size in ((0, 1), *zip((2, 3), sizes or (None, None), strict=True)):
        if shape[axis].is_dynamic and size is None:
            raise UsageError("the model's input has no fixed size", hint="say it with --imgsz HEIGHT WIDTH")
        if shape[axis].is_dynamic:
            shape[axis] = int(size)
    model.reshape(shape)
