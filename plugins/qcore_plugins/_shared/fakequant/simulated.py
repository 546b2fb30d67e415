"""A scale table run in PyTorch: the reference that written files are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from qcore_kit.quantization.placement import place
from qcore_kit.quantization.profiles import Profile
from qcore_kit.quantization.table import LIMITS, ScaleTable, WeightScale
from qcore_plugins._shared.exporter.onnx import Exported
from qcore_plugins._shared.fakequant.network import Network


class _Activation(nn.Module):
    def __init__(self, scale: float, point: int, limits: tuple[int, int]) -> None:
        super().__init__()
        self.scale, self.point, self.limits = scale, point, limits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fake_quantize_per_tensor_affine(x, self.scale, self.point, *self.limits)


class _Weight(nn.Module):
    def __init__(self, known: WeightScale) -> None:
        super().__init__()
        self.axis = known.axis
        self.scale: torch.Tensor
        self.register_buffer("scale", torch.from_numpy(np.asarray(known.scale, np.float32)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        zeros = torch.zeros_like(self.scale, dtype=torch.int32)
        if self.axis is None:
            return torch.fake_quantize_per_tensor_affine(x, self.scale[0], zeros[0], -127, 127)
        return torch.fake_quantize_per_channel_affine(x, self.scale, zeros, self.axis, -127, 127)


class SimulatedSession:
    """Fake-quantized float arithmetic in PyTorch."""

    executed_precision = "fake-quantized f32"

    def __init__(self, module: nn.Module, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        self._module, self._inputs, self._outputs = module, tuple(inputs), tuple(outputs)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference; all outputs."""
        device = next(self._module.parameters()).device
        arrays = (np.ascontiguousarray(inputs[name]) for name in self._inputs)
        with torch.inference_mode():
            given = self._module(*(torch.from_numpy(array).to(device) for array in arrays))
        values = given if isinstance(given, (tuple, list)) else (given,)
        return {name: value.cpu().numpy() for name, value in zip(self._outputs, values, strict=True)}


def simulated(exported: Exported, table: ScaleTable, profile: Profile) -> SimulatedSession:
    """The network with a table's scales in it, at the places that the profile asks for.

    Args:
        exported: The network, with the weights that the table was made for.
        table: Ranges and weight scales.
        profile: Of the runtime.
    """
    network = fake_quantized(exported, table, profile)
    return SimulatedSession(network.module, network.graph.inputs, network.graph.outputs)


def fake_quantized(
    exported: Exported, table: ScaleTable, profile: Profile, own: Callable[[str], nn.Module | None] | None = None
) -> Network:
    """The network with PyTorch's own fake quantization, for any profile.

    Args:
        exported: As in `simulated`, like the next two.
        table: Likewise.
        profile: Likewise.
        own: Makes the quantizers of some groups itself, and gives None for the others.
    """
    network, table = Network.of(exported), table.under(profile)
    placement = place(network.graph, profile, table.excluded)
    joined = table.joined(placement)

    def activation(group: str) -> nn.Module:
        if own and (made := own(group)) is not None:
            return made
        scale, point = joined[group].quantization(profile.activation, profile.symmetric)
        return _Activation(scale, point, LIMITS[profile.activation])

    network.insert(
        placement,
        activation,
        lambda node: _Weight(table.weights[str(node.weight)]),
    )
    return network
