"""The quantizer `modelopt`."""

from __future__ import annotations

import os
import warnings
from contextlib import AbstractContextManager, nullcontext
from importlib import metadata
from typing import Any

import numpy as np
import torch
from torch import nn

from qcore_plugins._shared.fakequant.calibrator import Streaming
from qcore_plugins._shared.fakequant.quantizer import TorchQuantizer

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when it is imported: nothing is asked for, nothing is told
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of packages that it finds or misses
    from modelopt.torch.quantization import calib
    from modelopt.torch.quantization.config import QuantizerAttributeConfig
    from modelopt.torch.quantization.nn import TensorQuantizer
    from modelopt.torch.quantization.tensor_quant import fake_tensor_quant


class Calibrator(Streaming, calib.HistogramCalibrator):  # type: ignore[misc]
    """Streaming."""

    rounded = staticmethod(fake_tensor_quant)


class ModeloptKit:
    """NVIDIA's modelopt."""

    def versions(self) -> dict[str, str]:
        """As installed."""
        return {"nvidia-modelopt": metadata.version("nvidia-modelopt")}

    def calibrator(self) -> Any:
        """The package's histogram calibrator, streaming."""
        return Calibrator()

    def collecting(self, calibrator: Any) -> nn.Module:
        """A quantizer that only watches."""
        quantizer = TensorQuantizer(QuantizerAttributeConfig(num_bits=8, axis=None), if_quant=False, if_calib=True)
        quantizer._calibrator = calibrator
        result: nn.Module = quantizer
        return result

    def fixed(self, amax: float) -> nn.Module:
        """A quantizer of activations."""
        quantizer = TensorQuantizer(QuantizerAttributeConfig(num_bits=8, axis=None))
        quantizer.amax = torch.tensor(float(amax))
        result: nn.Module = quantizer
        return result

    def fixed_weight(self, amax: np.ndarray, axis: int | None) -> nn.Module:
        """A quantizer of weights."""
        quantizer = TensorQuantizer(QuantizerAttributeConfig(num_bits=8, axis=axis))
        quantizer.amax = torch.from_numpy(np.asarray(amax, np.float32))
        result: nn.Module = quantizer
        return result

    def amaxes(self, network: nn.Module) -> dict[str, torch.Tensor | None]:
        """By path."""
        return {path: module.amax for path, module in network.named_modules() if isinstance(module, TensorQuantizer)}

    def training(self) -> AbstractContextManager[None]:
        """Nothing."""
        return nullcontext()


class Modelopt(TorchQuantizer):
    """With NVIDIA's modelopt."""

    kit = ModeloptKit()
