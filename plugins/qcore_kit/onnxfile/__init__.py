"""ONNX files: metadata, a normal form, views on their graphs."""
