"""The quantizer `nncf`."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from qcore.plugin import CalibrationData, Model, Progress
from qcore_kit.quantization.explain import layers
from qcore_kit.quantization.narrowing import enumerated
from qcore_kit.quantization.options import left_float
from qcore_plugins.quantizers.nncf.graph import from_openvino
from qcore_plugins.quantizers.nncf.literal import explained, literal, narrowed


def _import() -> Any:
    """NNCF with its telemetry switched off, which it reads from the environment when it is imported."""
    os.environ["NNCF_CI"] = "1"
    import nncf

    nncf.set_log_level(logging.ERROR)
    return nncf


OVERFLOW = {"selective": "FIRST_LAYER", "everywhere": "ENABLE", "ignore": "DISABLE"}
"""Value of the option `saturation` -> NNCF's `OverflowFix`; its choice of layers is by place, not measured."""


class NncfQuantizer:
    """Post-training quantization by NNCF, with everything after the head's last convolutions left float."""

    def quantize(
        self, model: Model, *, calibration: CalibrationData, options: Mapping[str, Any], progress: Progress
    ) -> Model:
        """Quantize an OpenVINO model.

        Presets: `mixed` has asymmetric activations, which SiLU networks need; `performance` is symmetric.
        """
        nncf = _import()
        graph = from_openvino(model.module)
        excluded = left_float(graph, options)
        tail = sorted(graph.tail | excluded)
        preset = {"mixed": nncf.QuantizationPreset.MIXED, "performance": nncf.QuantizationPreset.PERFORMANCE}
        fix = nncf.quantization.advanced_parameters.OverflowFix[OVERFLOW[options["saturation"]]]
        estimators = nncf.quantization.range_estimator.RangeEstimatorParametersSet
        with contextlib.redirect_stdout(io.StringIO()):  # NNCF draws bars of its own there
            quantized = nncf.quantize(
                model.module,
                nncf.Dataset(_Passes(calibration, progress)),
                preset=preset[options["preset"]],
                subset_size=len(calibration),
                fast_bias_correction=not options["bias_correction"],
                ignored_scope=nncf.IgnoredScope(names=tail, validate=False),
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    activations_range_estimator_params=getattr(estimators, options["ranges"].upper()),
                    overflow_fix=fix,
                ),
            )
        narrow = narrowed(quantized)
        if narrow:
            progress.say(f"weights kept within +-64 for CPUs without VNNI: {enumerated(layers(graph, narrow))}")
        tools = {**dict(model.contract.provenance.get("tools", {})), "nncf": nncf.__version__}
        contract = replace(
            model.contract,
            provenance={
                **model.contract.provenance,
                "tools": tools,
                "quantization": {
                    "float_tail": len(graph.tail),
                    "saturation": {
                        "mode": options["saturation"],
                        "overflow_fix": str(fix.value),
                        "narrowed": layers(graph, narrow),
                    },
                    **({"left_float": layers(graph, excluded)} if excluded else {}),
                },
            },
        )
        form = replace(model.form, encoding="native", symmetric=False)
        return model.evolve(
            form=form,
            module=quantized,
            contract=contract,
            reference=partial(literal, quantized, model.contract),
            layers=explained(quantized, graph, excluded),
        )


class _Passes:
    """The data for NNCF, which goes over it several times: each pass shows how far it is."""

    def __init__(self, data: CalibrationData, progress: Progress) -> None:
        self._data, self._progress, self._passes = data, progress, 0

    def __iter__(self) -> Iterator[Any]:
        self._passes += 1
        yield from self._progress.track(self._data, f"calibrating (nncf, pass {self._passes})", len(self._data))
