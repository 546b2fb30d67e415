"""Layers that a runtime computes in integers, as a file of any format tells them, and what a CPU without VNNI loses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from qcore_kit.quantization.products import KERNELS, Products
from qcore_kit.quantization.saturation import Loss, can_saturate, measure, sampled

POSITIONS = 800
"""Outputs of each layer and input that are computed, drawn at random."""
LOSSY = 40.0
"""Decibels below which what a layer loses shows: with the first convolution of YOLOv5n at 14 and all others above 50,
AP on ONNX Runtime is .242 instead of .297."""
WRONG = 20.0
"""Decibels below which results are wrong rather than worse."""
MIDDLE, NEAR = 128, 32
"""Zero point of a symmetric uint8 tensor, and how far from it the values still lie high in the range."""


@dataclass(frozen=True)
class IntegerLayer:
    """A weighted operation on uint8 or int8 values with int8 weights.

    Attributes:
        layer: What a person calls it.
        products: The operation and its weight.
        input: Name of the float tensor that it reads.
        output: Name of the tensor that it makes, before a bias where that is added apart.
        scale: Of its input.
        point: Its zero point as uint8; int8 plus 128 is the same arithmetic.
        steps: Scales of the weight: one, or one for each output channel.
        first: Whether no other weighted operation lies before it.
    """

    layer: str
    products: Products = field(repr=False)
    input: str
    output: str
    scale: float
    point: int
    steps: np.ndarray = field(repr=False)
    first: bool = False

    @property
    def near_middle(self) -> bool:
        """Whether the zero point lies so near the middle that what a SiLU or a ReLU gives lies in the upper half."""
        return abs(self.point - MIDDLE) <= NEAR

    def integers(self, values: np.ndarray) -> np.ndarray:
        """Its float input as uint8."""
        result: np.ndarray = np.clip(np.rint(values / np.float32(self.scale)) + self.point, 0, 255).astype(np.uint8)
        return result

    def can_saturate(self, runtime: str) -> bool:
        """Whether two neighbouring products can exceed 16 bits on that runtime."""
        return can_saturate(self.products, KERNELS[runtime], self.point)

    def loss(self, values: np.ndarray, runtime: str, positions: int = POSITIONS, seed: int = 0) -> Loss:
        """What saturation changes on some of the outputs for one input.

        Args:
            values: The float input.
            runtime: One of `KERNELS`.
            positions: How many outputs are computed.
            seed: Of their choice.
        """
        return measure(
            self.products,
            values,
            self.point,
            KERNELS[runtime],
            scale=self.steps,
            places=sampled(self.products, values.shape, positions, seed),
            unit=self.scale,
        )


Inner = Callable[[Mapping[str, np.ndarray], Sequence[str]], Mapping[str, np.ndarray]]
"""Gives the float tensors of some names for one inference."""


def losses(
    layers: Iterable[IntegerLayer], run: Inner, inputs: Iterable[Mapping[str, np.ndarray]], runtime: str
) -> dict[str, Loss]:
    """What saturation changes in each layer that can saturate.

    Args:
        layers: Of a file.
        run: Computes the file literally.
        inputs: Tensors by name, an inference each.
        runtime: One of `KERNELS`.
    """
    able = [layer for layer in layers if layer.can_saturate(runtime)]
    by_layer = {layer.layer: Loss() for layer in able}
    names = list(dict.fromkeys(layer.input for layer in able))
    for given in inputs if able else ():
        values = run(given, names)
        for layer in able:
            by_layer[layer.layer] += layer.loss(values[layer.input], runtime)
    return by_layer
