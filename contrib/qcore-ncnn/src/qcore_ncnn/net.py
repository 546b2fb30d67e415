"""A model inside ncnn."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ncnn
import numpy as np

from qcore.plugin import FileError, Tensor
from qcore_ncnn.format import NcnnModel

HALVES = (
    "use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_packed", "use_bf16_storage",
    "use_vulkan_compute",
)  # fmt: skip
"""Options that make ncnn compute in less than float32, or on a GPU; some are on by default where the CPU has them."""


class Net:
    """Layers that ncnn has loaded, and what it computes with them."""

    def __init__(self, model: NcnnModel, name: str, *, threads: int = 0) -> None:
        """Load.

        Raises:
            FileError: ncnn refuses the layers.
        """
        self._net, self._name = ncnn.Net(), name
        for option in HALVES:
            if hasattr(self._net.opt, option):
                setattr(self._net.opt, option, False)
        if threads:
            self._net.opt.num_threads = threads
        with tempfile.TemporaryDirectory() as folder:
            graph, weights = Path(folder, "model.param"), Path(folder, "model.bin")
            for path, content in zip((graph, weights), model.files, strict=True):
                path.write_bytes(content)
            if self._net.load_param(str(graph)) or self._net.load_model(str(weights)):
                raise FileError(f"{name}: ncnn {ncnn.__version__} refuses it", hint="pip install --upgrade ncnn")

    def run(
        self, inputs: Mapping[str, np.ndarray], blobs: Sequence[str], *, kept: bool = False
    ) -> dict[str, np.ndarray]:
        """The values of some blobs for one input.

        Args:
            inputs: Blob -> its values without a batch.
            blobs: What to give.
            kept: Whether some of them are read by later layers.

        Raises:
            FileError: ncnn cannot compute one.
        """
        extractor = self._net.create_extractor()
        extractor.set_light_mode(not kept)
        for name, value in inputs.items():
            extractor.input(name, _mat(value))
        made = {}
        for name in blobs:
            refused, mat = extractor.extract(name)
            if refused:
                raise FileError(f"{self._name}: ncnn cannot compute {name} (error {refused})")
            made[name] = np.array(mat, np.float32)
        return made


def _mat(value: np.ndarray) -> Any:
    """A copy in ncnn's memory, which aligns each channel."""
    array = np.ascontiguousarray(value, np.float32)
    mat = ncnn.Mat(array).clone()
    del array  # a Mat does not hold the array whose memory it uses: it has to live until here
    return mat


def single(inputs: Mapping[str, np.ndarray], tensors: Sequence[Tensor], place: int) -> dict[str, np.ndarray]:
    """One element of a batch.

    Raises:
        FileError: An array has another shape than the contract says.
    """
    for tensor in tensors:
        shape = inputs[tensor.name].shape
        if shape[1:] != tuple(tensor.shape[1:]):
            raise FileError(f"input {tensor.name} has shape {list(shape)}, the model takes {list(tensor.shape)}")
    return {tensor.name: inputs[tensor.name][place] for tensor in tensors}
