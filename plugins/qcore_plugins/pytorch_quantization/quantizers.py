"""The package's TensorQuantizer, made for calibration and for training, and never without a fixed range."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from qcore.errors import CheckFailed
from qcore_plugins.pytorch_quantization.package import pytorch_quantization

TensorQuantizer = pytorch_quantization().nn.TensorQuantizer
QuantDescriptor = pytorch_quantization().tensor_quant.QuantDescriptor


def collecting(calibrator: Any) -> nn.Module:
    """A quantizer that only watches, with a calibrator."""
    made = TensorQuantizer(QuantDescriptor(num_bits=8, calib_method="max"), if_quant=False, if_calib=True)
    made._calibrator = calibrator
    return made


def fixed(amax: float, *, learned: bool = False) -> nn.Module:
    """A quantizer of activations, int8 and symmetric; `learned` ones train their amax until `freeze`."""
    return TensorQuantizer(QuantDescriptor(num_bits=8, amax=float(amax), learn_amax=learned))


def freeze(network: nn.Module) -> None:
    """Fix the amax of every quantizer that learned it."""
    for module in network.modules():
        if isinstance(module, TensorQuantizer) and module._learn_amax:
            amax = float(torch.max(-module.clip.clip_value_min, module.clip.clip_value_max).detach())
            module.disable_clip()
            module._learn_amax = False
            module.amax = amax


@contextmanager
def native_fake_quant() -> Iterator[None]:
    """PyTorch's own kernel inside the package's quantizers: one pass over the values instead of six."""
    before = TensorQuantizer.use_fb_fake_quant
    TensorQuantizer.use_fb_fake_quant = True
    try:
        yield
    finally:
        TensorQuantizer.use_fb_fake_quant = before


def fixed_weight(scale: np.ndarray, axis: int, dimensions: int) -> nn.Module:
    """A quantizer of weights, a scale for each output channel."""
    made = TensorQuantizer(QuantDescriptor(num_bits=8, axis=axis))
    shape = [1] * dimensions
    shape[axis] = -1
    made.amax = np.asarray(scale, np.float32).reshape(shape) * 127
    return made


def require_fixed(network: nn.Module) -> None:
    """Refuse quantizers whose range is not a number above 0.

    One without a range is dynamic: exported, it bakes in the range of the dummy input.

    Raises:
        CheckFailed: Names the layer.
    """
    for name, module in network.named_modules():
        if not isinstance(module, TensorQuantizer):
            continue
        amax = module.amax
        if amax is None:
            raise CheckFailed(f"{name}: the quantizer has no fixed amax, it is dynamic", hint=_HINT)
        values = torch.as_tensor(amax, dtype=torch.float64)
        if not torch.isfinite(values).all() or (values <= 0).any():
            worst = values.flatten()[int((~(torch.isfinite(values) & (values > 0))).flatten().nonzero()[0])]
            said = "NaN" if math.isnan(float(worst)) else f"{float(worst):g}"
            raise CheckFailed(f"{name}: the quantizer's amax is {said}", hint=_HINT)


_HINT = "calibrate with more pictures, and with pictures like those the model will see"
