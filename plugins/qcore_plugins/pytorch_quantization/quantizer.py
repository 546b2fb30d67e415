"""The quantizer `pytorch-quantization`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import nn

from qcore.errors import UsageError
from qcore.forms import Form
from qcore.model import Model
from qcore.protocols import CalibrationData, Progress
from qcore_plugins.exporter.onnx import Exported, export_both
from qcore_plugins.fakequant.network import Network
from qcore_plugins.fakequant.simulated import SimulatedSession, simulated
from qcore_plugins.fakequant.training import Settings, train
from qcore_plugins.pytorch_quantization.calibrator import StreamingCalibrator
from qcore_plugins.pytorch_quantization.quantizers import (
    collecting,
    fixed,
    fixed_weight,
    freeze,
    native_fake_quant,
    require_fixed,
)
from qcore_plugins.quantization.graph import Graph, from_onnx
from qcore_plugins.quantization.options import leave_float, left_float
from qcore_plugins.quantization.placement import Placement, candidates, place
from qcore_plugins.quantization.profiles import TENSORRT
from qcore_plugins.quantization.ranges import completed, watched
from qcore_plugins.quantization.table import OUTPUT_CHANNELS, Range, ScaleTable, WeightScale, weight_scales

TRAINED_FOR = TENSORRT
"""The placement to train with: what the strictest profile shares a scale for, the others may share as well."""


class PytorchQuantization:
    """Calibrates in PyTorch; with `qat` trains as well."""

    leaving_float = staticmethod(leave_float)

    def quantize(
        self, model: Model, *, calibration: CalibrationData, options: Mapping[str, Any], progress: Progress
    ) -> Model:
        """The scale table of a float module, and with `qat` its new weights.

        Raises:
            CheckFailed: A tensor's range cannot be used.
            UsageError: A layer pattern or a training option cannot be used.
        """
        with progress.step("exporting for quantization"):
            exported = export_both(model.module, model.contract)
        graph = from_onnx(exported.proto)
        excluded = left_float(graph, options)
        found = ranges(exported, calibration, options, progress)
        table = self._table(exported, graph, found, weight_scales(graph, exported.proto), excluded)
        said: dict[str, Any] = {}
        if options["qat"]:
            table, said = self._trained(model, exported, table, calibration, options, progress)
        tools = {
            **dict(model.contract.provenance.get("tools", {})),
            "torch": torch.__version__,
            "pytorch-quantization": metadata.version("pytorch-quantization"),
        }
        provenance = {**model.contract.provenance, "tools": tools, **({"quantization": said} if said else {})}
        return model.evolve(
            form=Form("table", encoding="ranges", precision="f32", head=model.form.head),
            module=table,
            contract=replace(model.contract, provenance=provenance),
        )

    def _table(
        self,
        exported: Exported,
        graph: Graph,
        found: Mapping[str, Range],
        weights: Mapping[str, WeightScale],
        excluded: frozenset[str],
    ) -> ScaleTable:
        return ScaleTable.make(
            exported.proto,
            found,
            weights,
            needed=candidates(graph),
            excluded=excluded,
            simulate=partial(simulated, exported),
        )

    def _trained(
        self,
        model: Model,
        exported: Exported,
        table: ScaleTable,
        calibration: CalibrationData,
        options: Mapping[str, Any],
        progress: Progress,
    ) -> tuple[ScaleTable, dict[str, Any]]:
        """The table of the trained network: scales of the training stay, other ranges are looked at anew."""
        settings = Settings(
            steps=options["steps"],
            batch=options["batch"],
            rate=options["rate"],
            seed=options["seed"],
            state=Path(options["state"]) if options["state"] else None,
        )
        torch.manual_seed(settings.seed)
        device = torch_device(options["device"])
        student, teacher = Network.of(exported), Network.of(exported)
        placement = place(student.graph, TRAINED_FOR, table.excluded)
        joined = table.joined(placement)
        made: dict[str, nn.Module] = {}

        def activation(group: str) -> nn.Module:
            made[group] = fixed(joined[group].largest, learned=options["scales"] == "learned")
            return made[group]

        student.insert(
            placement,
            activation,
            lambda node: fixed_weight(
                table.weights[str(node.weight)].scale, OUTPUT_CHANNELS[node.op], student.weight(node).dim()
            ),
        )
        student.module.to(device)
        teacher.module.to(device)
        with native_fake_quant():
            done = train(student, teacher, model.contract, calibration, settings, progress, partial(session, student))
        freeze(student.module)
        require_fixed(student.module)
        weights = {name: value.detach().cpu() for name, value in student.module.named_parameters()}
        after = exported.with_weights({name: weights[name] for name in weights if "quantizers." not in name})
        found = ranges(after, calibration, options, progress)
        for name, group in placement.tensors.items():
            amax = float(made[group].amax)
            low, high = max(found[name].low, -amax), min(found[name].high, amax)
            found[name] = Range(low, high, "trained", amax)
        said = {
            "qat": {
                "step": done.step,
                "held_out_loss": done.best,
                "held_out_loss_before": done.first,
                **({"judged": done.figure} if done.figure is not None else {}),
            }
        }
        return self._table(after, student.graph, found, table.weights, table.excluded), said


def session(network: Network) -> SimulatedSession:
    """The network as it stands, ready to run."""
    return SimulatedSession(network.module, network.graph.inputs, network.graph.outputs)


def torch_device(wanted: str) -> torch.device:
    """The device to compute on; `auto` is a GPU where there is one.

    Raises:
        UsageError: There is no such device.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        line = str(error).strip().splitlines()[0]
        raise UsageError(f"device {wanted}: {line}", hint="cpu always works") from error
    return device


def ranges(
    exported: Exported, calibration: CalibrationData, options: Mapping[str, Any], progress: Progress
) -> dict[str, Range]:
    """The range of every tensor that some profile may quantize, in one pass over the inputs."""
    network = Network.of(exported)
    wanted = watched(network.graph)
    calibrators: dict[str, StreamingCalibrator] = {name: StreamingCalibrator() for name in wanted}
    network.insert(
        Placement({name: name for name in wanted}, ()), lambda name: collecting(calibrators[name]), lambda _: None
    )
    with torch.inference_mode():
        for batch in progress.track(calibration, "calibrating (pytorch-quantization)", len(calibration)):
            network.module(*(torch.from_numpy(batch[name]) for name in network.graph.inputs))
    settings = {"percentile": {"percentile": options["percentile"]}, "entropy": {"stride": 8}}
    found: dict[str, Range] = {}
    for name, calibrator in progress.track(calibrators.items(), "ranges", len(calibrators)):
        seen = calibrator.compute_range(options["method"], **settings.get(options["method"], {}))
        if seen is not None:
            found[name] = seen
    return completed(network.graph, found)
