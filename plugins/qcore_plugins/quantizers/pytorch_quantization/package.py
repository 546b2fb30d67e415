"""The package itself, imported without what it does to logging."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any


@cache
def pytorch_quantization() -> Any:
    """`pytorch_quantization`, with its submodules; the root logger stays as the program has it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        import pytorch_quantization as package
        from pytorch_quantization import calib, nn, tensor_quant  # noqa: F401
    finally:
        root.handlers[:], root.level = handlers, level
    logging.getLogger("absl").setLevel(logging.ERROR)
    return package
