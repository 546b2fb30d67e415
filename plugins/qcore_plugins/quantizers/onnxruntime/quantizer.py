"""The quantizer `onnxruntime`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import onnxruntime

from qcore.plugin import CalibrationData, Form, Model, Progress
from qcore_kit.onnxfile.opset import raised
from qcore_kit.quantization import calibrated
from qcore_kit.quantization.calibration import ranges_of, seen
from qcore_kit.quantization.graph import from_onnx
from qcore_kit.quantization.histogram import Histogram
from qcore_kit.quantization.narrowing import narrowed
from qcore_kit.quantization.options import leave_float, left_float
from qcore_kit.quantization.placement import candidates
from qcore_kit.quantization.table import ScaleTable, weight_scales


class OnnxRuntimeQuantizer:
    """Calibrates every tensor that any profile may quantize; which of them are, the profile's writer decides."""

    leaving_float = staticmethod(leave_float)

    def quantize(
        self, model: Model, *, calibration: CalibrationData, options: Mapping[str, Any], progress: Progress
    ) -> Model:
        """The scale table of a float ONNX graph.

        Raises:
            CheckFailed: A tensor's range cannot be used.
            FileError: The graph's opset is too old and cannot be raised.
        """
        model = model.evolve(module=raised(model.module))
        graph = from_onnx(model.module)
        tensors = candidates(graph)
        whole = calibrated.read(options["calibrated"]) if options["calibrated"] else _seen(model, calibration, progress)
        ranges = ranges_of(graph, whole, options["method"])
        table = ScaleTable.make(
            model.module,
            ranges,
            weight_scales(graph, model.module),
            needed=tensors,
            excluded=left_float(graph, options),
        )
        table = narrowed(table, calibration, options["saturation"], progress)
        tools = {**dict(model.contract.provenance.get("tools", {})), "onnxruntime": onnxruntime.__version__}
        contract = replace(model.contract, provenance={**model.contract.provenance, "tools": tools})
        return model.evolve(
            form=Form("table", encoding="ranges", precision="f32", head=model.form.head),
            module=table,
            contract=contract,
        )

    def calibrate(
        self,
        model: Model,
        *,
        calibration: CalibrationData,
        options: Mapping[str, Any],  # noqa: ARG002
        progress: Progress,
    ) -> Any:
        """What the inputs show of every tensor, for the option `calibrated`."""
        return calibrated.state(_seen(model.evolve(module=raised(model.module)), calibration, progress))


def _seen(model: Model, calibration: CalibrationData, progress: Progress) -> dict[str, Histogram]:
    batches = progress.track(calibration, "calibrating (onnxruntime)", len(calibration))
    return seen(model.module, from_onnx(model.module), batches)
