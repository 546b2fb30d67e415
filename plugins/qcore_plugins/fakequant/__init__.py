"""Networks in PyTorch with fake quantizers at the places that placement chose: calibrated, trained, never exported."""

import qcore

REQUIRES = (
    qcore.Requirement("torch", "torch", ">=2.10", extra="torch"),
    qcore.Requirement("onnxscript", "onnxscript", extra="torch"),
    qcore.Requirement("onnx", "onnx", ">=1.17"),
    qcore.Requirement("onnxruntime", "onnxruntime", ">=1.20"),
)
"""What every quantizer that works so needs, beside its own package."""
