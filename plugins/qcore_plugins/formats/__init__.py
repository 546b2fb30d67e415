"""Formats of files that belong to no runtime."""
