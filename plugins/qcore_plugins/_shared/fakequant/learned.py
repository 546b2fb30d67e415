"""A quantizer whose range is trained together with the weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from qcore_kit.quantization.placement import Placement
from qcore_kit.quantization.profiles import Profile
from qcore_kit.quantization.table import LIMITS, Range, ScaleTable

SMALLEST = 1 / 64
"""Of its first size: an end of a range never comes nearer to 0, so that no scale ends at 0."""


def _bounded(end: torch.Tensor, bounded: torch.Tensor) -> torch.Tensor:
    """The bounded value with the gradient of the end itself, so that an end can come back from its bound."""
    return end + (bounded - end).detach()


class Learned(nn.Module):
    """Int8 with a learned step size (arXiv:1902.08153), in asymmetric profiles a zero point too (arXiv:2004.09576).

    Attributes:
        high: Upper end of the range; the magnitude where the range is symmetric.
        low: Lower end, or None where that is 0 or the range symmetric.
    """

    def __init__(self, first: Range, profile: Profile) -> None:
        """Begin with a range.

        Args:
            first: Of the calibration.
            profile: Says which integers there are, and whether zero is in their middle.
        """
        super().__init__()
        self._limits, self._symmetric = LIMITS[profile.activation], profile.symmetric
        self._middle = first.quantization(profile.activation, symmetric=True)[1]
        high = first.largest if profile.symmetric else max(first.high, 0.0)
        low = 0.0 if profile.symmetric else min(first.low, 0.0)
        self._least, self._most = high * SMALLEST, low * SMALLEST
        self.high = nn.Parameter(torch.tensor([high])) if high > 0 else None
        self.low = nn.Parameter(torch.tensor([low])) if low < 0 else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rounded, with gradients for the range."""
        low, high = self._ends()
        first, last = self._limits
        scale = high / 127 if self._symmetric else (high - low) / (last - first)
        point = torch.full_like(scale, self._middle) if self._symmetric else first - low / scale
        rounded: torch.Tensor = torch._fake_quantize_learnable_per_tensor_affine(x, scale, point, first, last, 1.0)
        return rounded

    def range(self) -> tuple[float, float]:
        """Both ends, as numbers; (-magnitude, magnitude) where the range is symmetric."""
        low, high = (float(end.detach()) for end in self._ends())
        return (-high, high) if self._symmetric else (low, high)

    def _ends(self) -> tuple[torch.Tensor, torch.Tensor]:
        zero = torch.zeros_like(next(self.parameters()))
        low = zero if self.low is None else _bounded(self.low, self.low.clamp(max=self._most))
        return low, zero if self.high is None else _bounded(self.high, self.high.clamp(min=self._least))


class Taught:
    """The quantizers of one placement; those that it made are learned, the others keep their first ranges."""

    def __init__(self, table: ScaleTable, placement: Placement, profile: Profile) -> None:
        self._placement, self._profile = placement, profile
        self._first = table.joined(placement)
        self._inputs = {value.name for value in table.graph.graph.input}
        self._made: dict[str, Learned] = {}

    def __call__(self, group: str) -> nn.Module | None:
        """A quantizer to train; none for the network's inputs, whose range is that of pictures."""
        if group not in self._inputs:
            self._made[group] = Learned(self._first[group], self._profile)
        return self._made.get(group)

    def asymmetric(self) -> dict[str, Range]:
        """Tensor -> its learned range."""
        tensors = self._placement.tensors.items()
        return {name: Range(*self._made[group].range(), "trained") for name, group in tensors if group in self._made}

    def symmetric(self, found: Mapping[str, Range]) -> dict[str, Range]:
        """Tensor -> what is known of its range, with the magnitude that a symmetric scale reached in training.

        Args:
            found: Learned ranges, or those of the trained network: of these, nothing beyond that magnitude was trained.
        """
        ranges = {}
        for name, group in self._placement.tensors.items():
            amax = self._made[group].range()[1] if group in self._made else self._first[group].largest
            low, high = found[name].low, found[name].high
            if group not in self._made:
                low, high = max(low, -amax), min(high, amax)
            ranges[name] = Range(low, high, "trained", amax)
        return ranges
