"""Quantizers: ranges for a float model, or the quantized model."""
