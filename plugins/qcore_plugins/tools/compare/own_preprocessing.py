"""A person's own preprocessing: a stored tensor, or a function of their code."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qcore.plugin import FileError, QcoreError, UsageError, require

STORED = ".npy"
HINT = "--preprocess-from tensor.npy, path/to/file.py:FUNCTION or package.module:FUNCTION"


def foreign(text: str) -> tuple[Callable[[Any, Any], Any], int | None]:
    """What gives the tensor of an input, and of how many inputs it does.

    Args:
        text: A `.npy` file, which is the tensor of the first input, or `FILE.py:FUNCTION` or `MODULE:FUNCTION`, which
            is called with the input's path.

    Returns:
        A function of (item, item as it was read), and 1 for a stored tensor, else None.

    Raises:
        UsageError: Neither, or no such function.
        FileError: The file is absent or no array.
    """
    if text.lower().endswith(STORED):
        return _stored(text), 1
    where, colon, name = text.rpartition(":")
    if not colon or not name:
        raise UsageError(f"--preprocess-from {text}: neither a {STORED} file nor FILE.py:FUNCTION", hint=HINT)
    function = getattr(_module(where), name, None)
    if not callable(function):
        raise UsageError(f"--preprocess-from {text}: {where} has no function {name!r}", hint=HINT)

    def called(item: Any, _: Any) -> Any:
        import numpy

        try:
            return numpy.asarray(function(str(item) if isinstance(item, Path) else item))
        except Exception as error:
            raise QcoreError(
                f"--preprocess-from {text}: {type(error).__name__} for {item}: {error}", hint="--debug shows where"
            ) from error

    return called, None


def _stored(text: str) -> Callable[[Any, Any], Any]:
    import numpy

    path = require(text)
    try:
        array = numpy.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise FileError(f"{path}: no stored array ({error})", hint="store it with numpy.save") from error
    return lambda item, raw: array  # noqa: ARG005 - the same call as of a function


def _module(where: str) -> Any:
    try:
        if not where.endswith(".py"):
            return importlib.import_module(where)
        path = require(where)
        spec = importlib.util.spec_from_file_location(f"qcore_foreign_{path.stem}", path)
        assert spec is not None and spec.loader is not None  # noqa: PT018, S101 - a .py file has a loader
        module = importlib.util.module_from_spec(spec)
        sys.path.insert(0, str(path.resolve().parent))
        try:
            spec.loader.exec_module(module)
        finally:
            sys.path.remove(str(path.resolve().parent))
    except QcoreError:
        raise
    except Exception as error:
        raise UsageError(f"--preprocess-from {where}: {type(error).__name__}: {error}", hint=HINT) from error
    return module
