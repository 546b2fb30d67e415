"""The quantizer `mynet`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qcore.plugin import CalibrationData, Form, Model, Progress


class Mynet:
    """Gives a scale table: every profile can be written from it, and a budget can leave layers float afterwards."""

    def quantize(
        self, model: Model, *, calibration: CalibrationData, options: Mapping[str, Any], progress: Progress
    ) -> Model:
        """The table; CheckFailed where a range cannot be used."""
        from qcore_kit.quantization.calibration import ranges
        from qcore_kit.quantization.graph import from_onnx
        from qcore_kit.quantization.options import left_float
        from qcore_kit.quantization.placement import candidates
        from qcore_kit.quantization.table import ScaleTable, weight_scales

        graph = from_onnx(model.module)
        batches = progress.track(calibration, "calibrating (mynet)", len(calibration))
        table = ScaleTable.make(
            model.module,
            ranges(model.module, graph, batches, "minmax"),
            weight_scales(graph, model.module),
            needed=candidates(graph),
            excluded=left_float(graph, options),
        )
        return model.evolve(form=Form("table", encoding="ranges", precision="f32", head=model.form.head), module=table)
