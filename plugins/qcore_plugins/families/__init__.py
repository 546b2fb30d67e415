"""Loaders: the architectures that checkpoints are read into."""
