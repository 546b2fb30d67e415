"""qcore: from a trained model to a verified quantized one, through plugins.

```python
import qcore

base = qcore.pipeline("yolov5", weights="yolov5n.pt")
detector = base.quantize("nncf", calibration="images/").to("openvino").build()
detections = detector("street.jpg")
```
"""

from __future__ import annotations

import os
from pathlib import Path
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
from qcore.host.plugins import Host
from qcore.model import Model

if TYPE_CHECKING:
    from qcore.workflow.evaluating import Judge
    from qcore.workflow.parity import Parity
    from qcore.workflow.pipelines import Pipeline
    from qcore.workflow.planner import Plan
    from qcore.workflow.predictor import Predictor

__version__ = "0.1.0"

plugins = Host()
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


def pipeline(loader: Any = None, *, weights: str | os.PathLike[str], **options: Any) -> Pipeline:
    """Begin a pipeline.

    Args:
        loader: Name or object; None lets the content of the file decide.
        weights: The checkpoint or exported file.
        **options: Of the loader.
    """
    from qcore.workflow.pipelines import Pipeline

    return Pipeline(plugins, Path(weights), loader, options)


_LATER = {
    "Judge": "evaluating",
    "Parity": "parity",
    "Pipeline": "pipelines",
    "Plan": "planner",
    "Predictor": "predictor",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'qcore' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"qcore.workflow.{_LATER[name]}"), name)


__all__ = [
    "AssumptionWarning",
    "CheckFailed",
    "Contract",
    "FileError",
    "Form",
    "Host",
    "Judge",
    "MissingDependency",
    "MissingDevice",
    "Model",
    "NoRoute",
    "Parity",
    "Pipeline",
    "Plan",
    "PluginError",
    "Predictor",
    "QcoreError",
    "Step",
    "Tensor",
    "UsageError",
    "load",
    "pipeline",
    "plugins",
]
