"""The backend's part of `qcore snippet`."""

from pathlib import Path

from qcore.plugin import Model
from qcore_kit.scripts import template


def source(model: Model) -> str:  # noqa: ARG001 - every file runs alike
    """The text that loads a file and runs it."""
    return template(Path(__file__).with_name("script.py"), {})
