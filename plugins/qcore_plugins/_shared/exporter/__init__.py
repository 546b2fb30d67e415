"""The one way from a PyTorch module to a graph: `torch.export` for programs, and ONNX made of those."""
