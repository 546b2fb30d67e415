"""Networks in PyTorch with fake quantizers at the places that placement chose: calibrated, trained, never exported."""

from qcore.plugin import Requirement

REQUIRES = (
    Requirement("torch", "torch", ">=2.10", extra="torch"),
    Requirement("onnxscript", "onnxscript", extra="torch"),
    Requirement("onnx", "onnx", ">=1.17"),
    Requirement("onnxruntime", "onnxruntime", ">=1.20"),
)
"""What every quantizer that works so needs, beside its own package."""
