"""An exported network as recognition looks at it: its signature, what it is made of, and a way to run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from qcore.plugin import Tensor
from qcore_kit.detectors.contracts import layout


@dataclass(frozen=True)
class Network:
    """A network with inputs of a fixed size.

    Attributes:
        inputs: Of the graph.
        outputs: Of the graph.
        run: One inference: inputs by name -> outputs by name.
        operations: Kinds of the operations behind the last convolutions, in ONNX's words; empty where nobody looked.
        widths: Output channels of the last convolutions.
        chosen: Shapes of the tensors that the largest of something is looked for in.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    run: Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]
    operations: frozenset[str] = frozenset()
    widths: frozenset[int] = frozenset()
    chosen: tuple[tuple[int, ...], ...] = ()
    _runs: dict[float, Mapping[str, np.ndarray]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return sides(self.inputs[0])

    @property
    def sample(self) -> Mapping[str, np.ndarray]:
        """What it gives for a picture of noise in 0..1."""
        return self.given(1.0)

    def given(self, largest: float) -> Mapping[str, np.ndarray]:
        """What it gives for a picture of noise from 0 to a largest value."""
        if largest not in self._runs:
            values = self.run(noise(self.inputs[0], largest))
            self._runs[largest] = {name: np.asarray(value, np.float64) for name, value in values.items()}
        return self._runs[largest]


def sides(tensor: Tensor) -> tuple[int, int]:
    """Height and width of a picture input, 0 where they are open."""
    height, width = tensor.sizes("HW") if len(tensor.shape) == 4 else (0, 0)
    return int(height) if isinstance(height, int) else 0, int(width) if isinstance(width, int) else 0


def with_layout(tensor: Tensor) -> Tensor:
    """The tensor with the layout that its shape tells."""
    return replace(tensor, layout=layout(tensor.shape))


def noise(tensor: Tensor, largest: float) -> dict[str, np.ndarray]:
    """A picture of noise that is constant over 8x8 pixels, the same at every call; integers get 0..255."""
    height, width = sides(tensor)
    axis = 3 if tensor.layout == "NHWC" else 1
    channels = tensor.shape[axis] if isinstance(tensor.shape[axis], int) else 3
    coarse = np.random.default_rng(0).random((-(-height // 8), -(-width // 8), int(channels)), np.float32)
    fine = coarse.repeat(8, 0).repeat(8, 1)[:height, :width]
    picture = fine if tensor.layout == "NHWC" else fine.transpose(2, 0, 1)
    kind = np.dtype(tensor.dtype)
    values = np.rint(picture * 255) if kind.kind != "f" else picture * largest
    batch = tensor.shape[0] if isinstance(tensor.shape[0], int) else 1
    return {tensor.name: np.ascontiguousarray(np.stack([values] * batch).astype(kind))}
