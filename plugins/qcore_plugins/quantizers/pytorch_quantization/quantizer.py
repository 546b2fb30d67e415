"""The quantizer `pytorch-quantization`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import numpy as np
import torch
from torch import nn

from qcore_plugins._shared.fakequant.calibrator import Streaming
from qcore_plugins._shared.fakequant.quantizer import TorchQuantizer
from qcore_plugins.quantizers.pytorch_quantization.package import pytorch_quantization

_package = pytorch_quantization()
Quantizer = _package.nn.TensorQuantizer
Descriptor = _package.tensor_quant.QuantDescriptor


class Calibrator(Streaming, _package.calib.HistogramCalibrator):  # type: ignore[misc, name-defined]
    """Streaming."""

    rounded = staticmethod(_package.tensor_quant.fake_tensor_quant)


class PytorchQuantizationKit:
    """NVIDIA's pytorch-quantization 2.1.3."""

    def versions(self) -> dict[str, str]:
        """As installed."""
        return {"pytorch-quantization": metadata.version("pytorch-quantization")}

    def calibrator(self) -> Any:
        """The package's histogram calibrator, streaming."""
        return Calibrator()

    def collecting(self, calibrator: Any) -> nn.Module:
        """A quantizer that only watches."""
        quantizer = Quantizer(Descriptor(num_bits=8, calib_method="max"), if_quant=False, if_calib=True)
        quantizer._calibrator = calibrator
        result: nn.Module = quantizer
        return result

    def fixed(self, amax: float) -> nn.Module:
        """A quantizer of activations."""
        result: nn.Module = Quantizer(Descriptor(num_bits=8, amax=float(amax)))
        return result

    def fixed_weight(self, amax: np.ndarray, axis: int | None) -> nn.Module:
        """A quantizer of weights."""
        quantizer = Quantizer(Descriptor(num_bits=8, axis=axis))
        quantizer.amax = amax
        result: nn.Module = quantizer
        return result

    def amaxes(self, network: nn.Module) -> dict[str, torch.Tensor | None]:
        """By path."""
        return {path: module.amax for path, module in network.named_modules() if isinstance(module, Quantizer)}

    @contextmanager
    def training(self) -> Iterator[None]:
        """PyTorch's own kernel inside the quantizers: one pass over the values instead of six."""
        before = Quantizer.use_fb_fake_quant
        Quantizer.use_fb_fake_quant = True
        try:
            yield
        finally:
            Quantizer.use_fb_fake_quant = before


class PytorchQuantization(TorchQuantizer):
    """With NVIDIA's pytorch-quantization."""

    kit = PytorchQuantizationKit()
