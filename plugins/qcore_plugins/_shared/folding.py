"""Folding BatchNorm, and whatever else is one convolution at inference, into convolutions."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def fold_batchnorm(module: nn.Module) -> nn.Module:
    """A copy of an eval-mode module with every convolution and the BatchNorm behind it made one convolution.

    A submodule with a method `folded()` is replaced by what that returns: blocks know best which of their parts
    follow each other. The input is not changed.

    Args:
        module: In eval mode, float32.
    """
    folded = copy.deepcopy(module).eval()
    _fold(folded)
    return folded


def _fold(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if hasattr(child, "folded"):
            folded: Any = child
            setattr(module, name, folded.folded())
        else:
            _fold(child)
