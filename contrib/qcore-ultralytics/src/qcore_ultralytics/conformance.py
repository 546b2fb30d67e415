"""Examples for the conformance checks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qcore.plugin import Tensor
from qcore.testing import LoaderConformance
from qcore_kit.testing import LayoutConformance

CONFIG = {
    "nc": 2,
    "backbone": [[-1, 1, "Conv", [8, 3, 2]], [-1, 1, "Conv", [16, 3, 2]], [-1, 1, "C2f", [16, True]]],
    "head": [[-1, 1, "Conv", [32, 3, 2]], [-1, 1, "C2f", [32]], [[2, 4], 1, "Detect", ["nc"]]],
}
"""A YOLOv8 in small: two levels, of strides 4 and 8."""


class TestUltralytics(LoaderConformance):
    """The loader."""

    component = "ultralytics"

    def file(self, folder: Path) -> Path:
        """A small detector, its config and weights as plain data."""
        import torch

        from qcore_ultralytics.network import Network

        torch.manual_seed(0)
        network = Network(CONFIG, {})
        path = folder / "small.pt"
        torch.save({"config": CONFIG, "state_dict": network.state_dict(), "names": ["a", "b"], "family": ""}, path)
        return path


class TestRawDistances(LayoutConformance):
    """The layout."""

    component = "raw-distances"

    def tensors(self) -> Sequence[Tensor]:
        """Three levels of two classes."""
        return [
            Tensor(
                f"level{stride}", "float32", (1, 6, 64 // stride, 64 // stride), None, "distances-classes", "raw",
                {"stride": stride},
            )
            for stride in (8, 16, 32)
        ]  # fmt: skip
