"""Which TensorRT is here: `tensorrt` (10 and later) and `tensorrt_rtx` have one API and make engines of their own."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from qcore.plugin import MissingDependency

PACKAGES = ("tensorrt", "tensorrt_rtx")


def choose(wanted: str = "auto") -> str:
    """The package to use, without importing it.

    Args:
        wanted: One of `PACKAGES`, or `auto` for the first that is installed.

    Raises:
        MissingDependency: It is not installed.
    """
    there = [name for name in PACKAGES if wanted in ("auto", name) and _installed(name)]
    if not there:
        name = "tensorrt" if wanted == "auto" else wanted
        raise MissingDependency(f"{name} is not installed", hint=f"pip install {name.replace('_', '-')}")
    return there[0]


def _installed(name: str) -> bool:
    """Whether there is such a package; a folder of that name, as outputs for several runtimes lie in, is none."""
    module = importlib.util.find_spec(name)
    return module is not None and module.origin is not None


def load(package: str) -> Any:
    """The package, imported.

    Raises:
        MissingDependency: Its libraries cannot be loaded.
    """
    try:
        return importlib.import_module(package)
    except (ImportError, OSError) as error:
        raise MissingDependency(
            f"{package} is installed, but its libraries cannot be loaded ({error})",
            hint=f"pip install --force-reinstall {package.replace('_', '-')}, and check the GPU driver",
        ) from error
