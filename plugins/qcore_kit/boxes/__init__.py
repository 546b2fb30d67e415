"""Decoding of raw head outputs, one function a family, for torch tensors and NumPy arrays alike."""
