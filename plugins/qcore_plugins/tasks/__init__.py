"""Evaluation and results of a task."""
