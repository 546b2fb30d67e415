"""The backend's part of `qcore snippet`."""

from pathlib import Path

from qcore.plugin import Model
from qcore_kit.scripts import template


def source(model: Model) -> str:
    """The text that loads an engine and runs it, with the package that built it."""
    text = template(Path(__file__).with_name("script.py"), {})
    package = model.module.facts.get("package", "tensorrt")
    return text if package == "tensorrt" else text.replace("import tensorrt\n", f"import {package} as tensorrt\n")
