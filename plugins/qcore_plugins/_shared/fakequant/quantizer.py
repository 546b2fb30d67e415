"""Quantizing in PyTorch with the quantizer modules of some package."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import nn

from qcore.plugin import CalibrationData, CheckFailed, Form, Model, Progress, UsageError, batch_size, counted
from qcore_kit.quantization import calibrated
from qcore_kit.quantization.graph import Node, from_onnx
from qcore_kit.quantization.histogram import Histogram
from qcore_kit.quantization.narrowing import narrowed
from qcore_kit.quantization.operations import COUNTING_PADS, ROUNDING_UP, STACKED, WITHOUT_BIAS
from qcore_kit.quantization.options import leave_float, left_float
from qcore_kit.quantization.placement import Placement, candidates, place
from qcore_kit.quantization.profiles import Profile
from qcore_kit.quantization.ranges import completed, watched
from qcore_kit.quantization.table import Range, ScaleTable, weight_scales
from qcore_plugins._shared.exporter.onnx import Exported
from qcore_plugins._shared.fakequant.learned import Taught
from qcore_plugins._shared.fakequant.network import Network, exported_for_training
from qcore_plugins._shared.fakequant.simulated import SimulatedSession, simulated
from qcore_plugins._shared.fakequant.simulated import fake_quantized as simulation
from qcore_plugins._shared.fakequant.training import Settings, Trained, train

TRAINED_FOR = Profile(
    name="openvino",
    activation="u8",
    symmetric=True,
    every_output=False,
    whole_silu=True,
    share_concat=True,
    share_add=True,
    last_layer=False,
    integer_bias=False,
    float_variants=frozenset({COUNTING_PADS, WITHOUT_BIAS}),
)
"""The placement to train with, of the bundled profiles, whichever plugins are there: where the strictest shares a
scale, the others may as well. Symmetric, as the packages' quantizers are; the steps of asymmetric ranges are smaller.
Weights are narrowed as for OpenVINO."""
TRAINED_FOR_TOO = Profile(
    name="onnxruntime",
    activation="u8",
    symmetric=False,
    every_output=True,
    whole_silu=False,
    share_concat=False,
    share_add=False,
    last_layer=False,
    integer_bias=True,
    float_variants=frozenset({"Softmax", STACKED, ROUNDING_UP}),
)
"""Every other step runs the densest placement, whose asymmetric ranges the packages' quantizers do not have."""
SETTINGS = {"entropy": {"stride": 8}}
"""Of the packages' calibration methods: every eighth end of the range is tried, for speed."""


class Kit(Protocol):
    """What a package has to offer."""

    def versions(self) -> dict[str, str]:
        """Name and version of the package, for the contract."""
        ...

    def calibrator(self) -> Any:
        """A calibrator made by `streaming`."""
        ...

    def collecting(self, calibrator: Any) -> nn.Module:
        """A quantizer that only watches."""
        ...

    def fixed(self, amax: float) -> nn.Module:
        """A quantizer of activations: int8, symmetric."""
        ...

    def fixed_weight(self, amax: np.ndarray, axis: int | None) -> nn.Module:
        """A quantizer of weights, `amax` of the weight's number of dimensions; without an axis for the whole weight."""
        ...

    def amaxes(self, network: nn.Module) -> dict[str, torch.Tensor | None]:
        """The amax of every quantizer of the package in a network, by the quantizer's path."""
        ...

    def training(self) -> AbstractContextManager[None]:
        """What has to be switched while training."""
        ...


class TorchQuantizer:
    """Calibrates a module, and with the option `qat` trains it; the product is a scale table."""

    kit: ClassVar[Kit]
    leaving_float = staticmethod(leave_float)

    def quantize(
        self, model: Model, *, calibration: CalibrationData, options: Mapping[str, Any], progress: Progress
    ) -> Model:
        """The scale table of a float module, and with `qat` its new weights.

        Raises:
            CheckFailed: A tensor's range cannot be used, or training went wrong.
            UsageError: A layer pattern or a training option cannot be used.
            FileError: The state file of the training is of another one.
        """
        device = torch_device(options["device"])
        with progress.step("exporting for quantization"):
            exported = exported_for_training(model.module, model.contract)
        graph = from_onnx(exported.proto)
        weights = weight_scales(graph, exported.proto)
        whole = calibrated.read(options["calibrated"]) if options["calibrated"] else None
        ranges = self.ranges(exported, calibration, options, progress, device, whole)
        table = ScaleTable.make(
            exported.proto,
            ranges,
            weights,
            needed=candidates(graph),
            excluded=left_float(graph, options),
            simulate=partial(simulated, exported),
        )
        table = narrowed(table, calibration, options["saturation"], progress)
        trained: dict[str, Any] = {}
        if options["qat"]:
            table, done = self._trained(model, exported, table, calibration, options, progress, device)
            judged = {} if done.figure is None else {"judged": done.figure}
            trained = {"qat": {"step": done.step, "loss": done.best, "loss_before": done.first, **judged}}
        tools = {
            **dict(model.contract.provenance.get("tools", {})),
            "torch": torch.__version__,
            **self.kit.versions(),
        }
        provenance = {**model.contract.provenance, "tools": tools, **({"quantization": trained} if trained else {})}
        return model.evolve(
            form=Form("table", encoding="ranges", precision="f32", head=model.form.head),
            module=table,
            contract=replace(model.contract, provenance=provenance),
        )

    def calibrate(
        self, model: Model, *, calibration: CalibrationData, options: Mapping[str, Any], progress: Progress
    ) -> Any:
        """What the inputs show of every tensor, for the option `calibrated`."""
        with progress.step("exporting for quantization"):
            exported = exported_for_training(model.module, model.contract)
        calibrators = self._collected(exported, calibration, progress, torch_device(options["device"]))
        return calibrated.state({name: calibrator.seen for name, calibrator in calibrators.items()})

    def ranges(
        self,
        exported: Exported,
        calibration: CalibrationData,
        options: Mapping[str, Any],
        progress: Progress,
        device: torch.device,
        whole: Mapping[str, Histogram] | None = None,
    ) -> dict[str, Range]:
        """The range of every tensor that some profile may quantize, from one pass over the inputs or what was seen."""
        if whole is None:
            calibrators = self._collected(exported, calibration, progress, device)
        else:
            calibrators = {name: self.kit.calibrator() for name in whole}
            for name, calibrator in calibrators.items():
                calibrator.seen = whole[name]
        method = options["method"]
        settings = {"percentile": options["percentile"]} if method == "percentile" else SETTINGS.get(method, {})
        ranges = {}
        for name, calibrator in progress.track(calibrators.items(), "ranges", len(calibrators)):
            if (seen := calibrator.compute_range(method, **settings)) is not None:
                ranges[name] = seen
        return completed(from_onnx(exported.proto), ranges)

    def _collected(
        self, exported: Exported, calibration: CalibrationData, progress: Progress, device: torch.device
    ) -> dict[str, Any]:
        """A calibrator for every watched tensor, which has seen the inputs."""
        network = Network.of(exported)
        calibrators = {name: self.kit.calibrator() for name in watched(network.graph)}
        everywhere = Placement({name: name for name in calibrators}, ())
        network.insert(everywhere, lambda name: self.kit.collecting(calibrators[name]), _no_weight)
        network.to(device)
        with torch.inference_mode(), full_precision():
            for batch in progress.track(calibration, "calibrating (PyTorch)", len(calibration)):
                network.module(*(torch.from_numpy(batch[name]).to(device) for name in network.graph.inputs))
        return calibrators

    def fake_quantized(
        self,
        exported: Exported,
        table: ScaleTable,
        placement: Placement,
        own: Callable[[str], nn.Module | None] | None = None,
    ) -> Network:
        """The network with the package's quantizers, fixed at a table's scales.

        Args:
            exported: The network.
            table: Scales.
            placement: Where.
            own: Makes the quantizers of some groups itself, and gives None for the others.
        """
        network = Network.of(exported)
        joined = table.joined(placement)

        def activation(group: str) -> nn.Module:
            made = own(group) if own else None
            return made if made is not None else self.kit.fixed(joined[group].largest)

        def weight(node: Node) -> nn.Module:
            known = table.weights[str(node.weight)]
            return self.kit.fixed_weight(known.spread(network.weight(node).dim()) * 127, known.axis)

        network.insert(placement, activation, weight)
        return network

    def require_fixed(self, network: nn.Module) -> None:
        """Refuse quantizers whose amax is not a number above 0.

        One without an amax is dynamic: exported, it bakes in the range of the dummy input.

        Raises:
            CheckFailed: Names the layer.
        """
        for path, amax in self.kit.amaxes(network).items():
            if amax is None:
                raise CheckFailed(
                    f"layer {path}: the quantizer has no calibrated amax, so its range is dynamic", hint=_HINT
                )
            wrong = amax[~(torch.isfinite(amax) & (amax > 0))]
            if wrong.numel():
                raise CheckFailed(f"{path}: the quantizer's amax is {float(wrong.flatten()[0]):g}", hint=_HINT)

    def _trained(
        self,
        model: Model,
        exported: Exported,
        table: ScaleTable,
        calibration: CalibrationData,
        options: Mapping[str, Any],
        progress: Progress,
        device: torch.device,
    ) -> tuple[ScaleTable, Trained]:
        """The table of the trained network: ranges are those of the training, what it has none of is looked at anew."""
        batch = options["batch"] if exported.any_batch else batch_size(model.contract.inputs)
        if batch != options["batch"]:
            progress.say(f"the network has its batch written down: {counted(batch, 'input')} per training step")
        settings = Settings(
            steps=options["steps"],
            batch=batch,
            rate=options["rate"],
            seed=options["seed"],
            ranges=(options["scales"], options["method"], str(options["percentile"]), options["saturation"]),
            state=Path(options["state"]) if options["state"] else None,
        )
        torch.manual_seed(settings.seed)
        graph = from_onnx(exported.proto)
        placements = {profile: place(graph, profile, table.excluded) for profile in (TRAINED_FOR, TRAINED_FOR_TOO)}
        taught = {profile: Taught(table, placement, profile) for profile, placement in placements.items()}
        own = taught if options["scales"] == "learned" else {}
        student = self.fake_quantized(exported, table.under(TRAINED_FOR), placements[TRAINED_FOR], own.get(TRAINED_FOR))
        dense, teacher = simulation(exported, table, TRAINED_FOR_TOO, own.get(TRAINED_FOR_TOO)), Network.of(exported)
        for network in (student, dense, teacher):
            network.to(device)
        dense.sharing(student)
        session = partial(SimulatedSession, student.module, student.graph.inputs, student.graph.outputs)
        with self.kit.training():
            done = train([student, dense], teacher, model.contract, calibration, settings, progress, session)
        self.require_fixed(student.module)
        weights = {name: value.detach().cpu() for name, value in student.module.named_parameters()}
        after = exported.with_weights({name: value for name, value in weights.items() if "quantizers." not in name})
        ranges = self.ranges(after, calibration, options, progress, device)
        ranges.update(taught[TRAINED_FOR_TOO].asymmetric())
        ranges.update(taught[TRAINED_FOR].symmetric(ranges))
        fixed = ScaleTable.make(
            after.proto,
            ranges,
            table.weights,
            needed=candidates(student.graph),
            excluded=table.excluded,
            narrowed=table.narrowed,
            simulate=partial(simulated, after),
        )
        return fixed, done


_HINT = "calibrate with more pictures, and with pictures like those the model will see"


def _no_weight(node: Node) -> nn.Module:
    raise AssertionError(f"{node.name}: only activations are calibrated")


@contextmanager
def full_precision() -> Iterator[None]:
    """Convolutions and products in float32 on GPUs, whose default is TF32: ranges are then those of a CPU.

    YOLOv5n on 160 pictures, H100 against CPU: ends of ranges up to .23 % of their width apart with TF32, 2e-8 without.
    """
    switches: tuple[Any, ...] = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [each.allow_tf32 for each in switches]
    try:
        for each in switches:
            each.allow_tf32 = False
        yield
    finally:
        for each, allowed in zip(switches, before, strict=True):
            each.allow_tf32 = allowed


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
