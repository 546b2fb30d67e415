"""qcore: from a trained model to a verified quantized one, through plugins.

```python
import qcore

float_model = qcore.recipe("yolov5n.pt", imgsz=640)
int8 = float_model.with_quantizer("nncf", calibration="images/").with_backend("openvino")
with int8.start() as run:
    detections = run.predictor()("street.jpg")
    run.save("out/")
```
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from qcore.contract import Contract, Step, Tensor
from qcore.errors import (
    AssumptionWarning,
    CheckFailed,
    FileError,
    MissingDependency,
    MissingDevice,
    NoRoute,
    PluginError,
    QcoreError,
    UsageError,
)
from qcore.forms import Form
from qcore.host.plugins import Host, installed
from qcore.model import Model

if TYPE_CHECKING:
    from qcore.workflow.evaluating import Evaluation, Judge
    from qcore.workflow.planner import Plan
    from qcore.workflow.predictor import Predictor
    from qcore.workflow.recipe import Recipe, recipe
    from qcore.workflow.run import Run

__version__ = "0.1.0"

plugins = installed
"""The plugins of this process: everything installed, and what `plugins.register` adds."""


def load(path: str | os.PathLike[str], loader: Any = None, **options: Any) -> Model:
    """The model in a file, with its contract.

    Args:
        path: A checkpoint or an exported file.
        loader: Name or object; by default the content decides.
        **options: Of the loader, e.g. `imgsz=640`.

    Raises:
        FileError: The file is absent, damaged, or nothing recognises what is inside.
    """
    from qcore.workflow.opening import load as load_model

    return load_model(path, plugins=plugins, loader=loader, options=options)


def predictor(
    file: str | os.PathLike[str], backend: Any = None, *, protocol: str | None = None, **options: Any
) -> Predictor:
    """A model that is ready to be called.

    Args:
        file: A checkpoint or an exported file.
        backend: Name or object; by default the one that runs the file as it is.
        protocol: Of the contract, to follow instead of its own parameters.
        **options: Of the backend.

    Raises:
        FileError: The file is absent, damaged, or nothing recognises what is inside.
        UsageError: Several backends run the file, or none does.
    """
    from qcore.workflow.recipe import recipe

    begun = recipe(file).with_protocol(protocol)
    return (begun if backend is None else begun.with_backend(backend, **options)).start().predictor()


def evaluate(
    file: str | os.PathLike[str], data: Any, backend: Any = None, *, protocol: str | None = None, **options: Any
) -> Evaluation:
    """Measure a model on labelled data.

    Args:
        file: A checkpoint or an exported file.
        data: What the evaluator of the model's task reads.
        backend: Name or object; by default the one that runs the file as it is.
        protocol: Of the contract; its first, the family's own way to measure, by default. `deployed`: its parameters.
        **options: Of the evaluator, e.g. where the inputs lie.

    Raises:
        FileError: The file or the data is absent or damaged.
        UsageError: Several backends run the file, or none does.
    """
    from qcore.workflow.recipe import recipe

    begun = recipe(file)
    run = (begun if backend is None else begun.with_backend(backend)).start()
    return run.evaluate(data, protocol=protocol, **options)


_LATER = {"Evaluation": "evaluating", "Judge": "evaluating", "Plan": "planner", "Predictor": "predictor",
          "Recipe": "recipe", "Run": "run", "recipe": "recipe"}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'qcore' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"qcore.workflow.{_LATER[name]}"), name)
    return value


__all__ = [
    "AssumptionWarning", "CheckFailed", "Contract", "Evaluation", "FileError", "Form", "Host", "Judge",
    "MissingDependency", "MissingDevice", "Model", "NoRoute", "Plan", "PluginError", "Predictor", "QcoreError",
    "Recipe", "Run", "Step", "Tensor", "UsageError", "evaluate", "load", "plugins", "predictor", "recipe",
]  # fmt: skip
