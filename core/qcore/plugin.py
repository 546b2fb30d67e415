"""All that a plugin may import from the core: specs, hooks, errors, data, and what components must be able to do.

Names are public under one version rule: within an `API_VERSION` they are only added to. Those that a plugin needs while
it is listed are imported with this module; the others when they are first asked for.

```python
from qcore.plugin import Form, LoaderSpec, hookimpl


@hookimpl
def qcore_loaders():
    yield LoaderSpec(
        name="mynet",
        summary="Reads MyNet checkpoints",
        factory="mynet_qcore.loader:MyNetLoader",
        format="checkpoint",
        produces=Form("torch", encoding="float", precision="f32"),
    )
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcore.contract import KEY, Contract, Step, Tensor
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
from qcore.host.hooks import API_VERSION, hookimpl
from qcore.host.specs import (
    AnalyzerSpec,
    BackendSpec,
    CommandSpec,
    ConverterSpec,
    EvaluatorSpec,
    FormatSpec,
    LinterSpec,
    LoaderSpec,
    Option,
    PostprocessorSpec,
    PreprocessorSpec,
    ProbeSpec,
    QuantizerSpec,
    ReporterSpec,
    Requirement,
    Spec,
)

if TYPE_CHECKING:
    from qcore.files import output_directory, publish, read_text, replacing, require, sha256
    from qcore.model import Model
    from qcore.progress import Silent, Skipping
    from qcore.protocols import (
        Analyzer,
        Arrays,
        Backend,
        CalibrationData,
        Converter,
        Evaluator,
        Executed,
        Format,
        Linter,
        Loader,
        Postprocessor,
        Preprocessor,
        Progress,
        Quantizer,
        Recording,
        Reporter,
        Session,
    )
    from qcore.words import counted, meant

_LATER = {
    "files": ("output_directory", "publish", "read_text", "replacing", "require", "sha256"),
    "model": ("Model",),
    "progress": ("Silent", "Skipping"),
    "protocols": (
        "Analyzer", "Arrays", "Backend", "CalibrationData", "Converter", "Evaluator", "Executed", "Format", "Linter",
        "Loader", "Postprocessor", "Preprocessor", "Progress", "Quantizer", "Recording", "Reporter", "Session",
    ),
    "words": ("counted", "meant"),
}  # fmt: skip
"""Module -> the names of it that are imported when they are asked for: listing plugins needs none of them."""

__all__ = [
    "API_VERSION",
    "KEY",
    "Analyzer",
    "AnalyzerSpec",
    "Arrays",
    "AssumptionWarning",
    "Backend",
    "BackendSpec",
    "CalibrationData",
    "CheckFailed",
    "CommandSpec",
    "Contract",
    "Converter",
    "ConverterSpec",
    "Evaluator",
    "EvaluatorSpec",
    "Executed",
    "FileError",
    "Form",
    "Format",
    "FormatSpec",
    "Linter",
    "LinterSpec",
    "Loader",
    "LoaderSpec",
    "MissingDependency",
    "MissingDevice",
    "Model",
    "NoRoute",
    "Option",
    "PluginError",
    "Postprocessor",
    "PostprocessorSpec",
    "Preprocessor",
    "PreprocessorSpec",
    "ProbeSpec",
    "Progress",
    "QcoreError",
    "Quantizer",
    "QuantizerSpec",
    "Recording",
    "Reporter",
    "ReporterSpec",
    "Requirement",
    "Session",
    "Silent",
    "Skipping",
    "Spec",
    "Step",
    "Tensor",
    "UsageError",
    "counted",
    "hookimpl",
    "meant",
    "output_directory",
    "publish",
    "read_text",
    "replacing",
    "require",
    "sha256",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    for module, names in _LATER.items():
        if name in names:
            found = getattr(import_module(f"qcore.{module}"), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module 'qcore.plugin' has no attribute {name!r}")
