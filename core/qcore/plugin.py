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
from qcore.host.options import Option
from qcore.host.requirements import Requirement
from qcore.host.specs import (
    BackendSpec,
    CommandSpec,
    ConverterSpec,
    EvaluatorSpec,
    FormatSpec,
    LoaderSpec,
    PostprocessorSpec,
    PreprocessorSpec,
    QuantizerSpec,
    Spec,
)

if TYPE_CHECKING:
    from qcore.cli.console import Output
    from qcore.cli.frame import add_common
    from qcore.files import json_array, output_directory, publish, read_text, replacing, require, sha256
    from qcore.host.choice import bundled, only, shared_options
    from qcore.host.plugins import Host
    from qcore.host.requirements import DISTRIBUTION
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
        Loader,
        Postprocessor,
        Preprocessor,
        Progress,
        Quantizer,
        Recording,
        Reporter,
        Session,
    )
    from qcore.words import counted, meant, plain
    from qcore.workflow.evaluating import Judge, evaluator
    from qcore.workflow.inputs import Calibration
    from qcore.workflow.opening import Opened, choose_loader, format_for, no_contract, open_file, recognise
    from qcore.workflow.opening import describe as describe_exported
    from qcore.workflow.opening import load as load_model
    from qcore.workflow.opening import loaded as load_opened
    from qcore.workflow.opening import prepared as prepared_content
    from qcore.workflow.opening import save as save_model
    from qcore.workflow.parity import INPUTS as PARITY_INPUTS
    from qcore.workflow.parity import Parity, elsewhere
    from qcore.workflow.parity import check as prove
    from qcore.workflow.pipelines import Pipeline
    from qcore.workflow.planner import Plan
    from qcore.workflow.predictor import Predictor, assembled
    from qcore.workflow.quantity import LIMITS as COSINES
    from qcore.workflow.quantity import SIZES as SIZE_FACTORS
    from qcore.workflow.quantity import Quantity, Sums
    from qcore.workflow.raw_outputs import SUPPRESSED, Seen
    from qcore.workflow.raw_outputs import parts as quantities
    from qcore.workflow.raw_outputs import seen as run_seen
    from qcore.workflow.samples import samples as read_samples

_LATER = {
    "files": {
        "json_array": "json_array",
        "output_directory": "output_directory",
        "publish": "publish",
        "read_text": "read_text",
        "replacing": "replacing",
        "require": "require",
        "sha256": "sha256",
    },
    "model": {"Model": "Model"},
    "progress": {"Silent": "Silent", "Skipping": "Skipping"},
    "words": {"counted": "counted", "meant": "meant", "plain": "plain"},
    "protocols": {
        "Analyzer": "Analyzer",
        "Arrays": "Arrays",
        "Backend": "Backend",
        "CalibrationData": "CalibrationData",
        "Converter": "Converter",
        "Evaluator": "Evaluator",
        "Executed": "Executed",
        "Format": "Format",
        "Linter": "Linter",
        "Loader": "Loader",
        "Postprocessor": "Postprocessor",
        "Preprocessor": "Preprocessor",
        "Progress": "Progress",
        "Quantizer": "Quantizer",
        "Recording": "Recording",
        "Reporter": "Reporter",
        "Session": "Session",
    },
    "host.requirements": {"DISTRIBUTION": "DISTRIBUTION"},
    "host.plugins": {"Host": "Host"},
    "host.choice": {"bundled": "bundled", "only": "only", "shared_options": "shared_options"},
    "cli.console": {"Output": "Output"},
    "cli.frame": {"add_common": "add_common"},
    "workflow.pipelines": {"Pipeline": "Pipeline"},
    "workflow.predictor": {"Predictor": "Predictor", "assembled": "assembled"},
    "workflow.planner": {"Plan": "Plan"},
    "workflow.evaluating": {"Judge": "Judge", "evaluator": "evaluator"},
    "workflow.inputs": {"Calibration": "Calibration"},
    "workflow.opening": {
        "Opened": "Opened",
        "open_file": "open_file",
        "recognise": "recognise",
        "no_contract": "no_contract",
        "format_for": "format_for",
        "choose_loader": "choose_loader",
        "describe_exported": "describe",
        "load_opened": "loaded",
        "prepared_content": "prepared",
        "save_model": "save",
        "load_model": "load",
    },
    "workflow.parity": {"Parity": "Parity", "prove": "check", "elsewhere": "elsewhere", "PARITY_INPUTS": "INPUTS"},
    "workflow.raw_outputs": {"Seen": "Seen", "run_seen": "seen", "quantities": "parts", "SUPPRESSED": "SUPPRESSED"},
    "workflow.quantity": {"Sums": "Sums", "Quantity": "Quantity", "COSINES": "LIMITS", "SIZE_FACTORS": "SIZES"},
    "workflow.samples": {"read_samples": "samples"},
}
"""Module -> public name -> name there, of what is imported when it is asked for: listing plugins needs none of it."""

__all__ = [
    "API_VERSION",
    "COSINES",
    "DISTRIBUTION",
    "KEY",
    "PARITY_INPUTS",
    "SIZE_FACTORS",
    "SUPPRESSED",
    "Analyzer",
    "Arrays",
    "AssumptionWarning",
    "Backend",
    "BackendSpec",
    "Calibration",
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
    "Host",
    "Judge",
    "Loader",
    "LoaderSpec",
    "MissingDependency",
    "MissingDevice",
    "Model",
    "NoRoute",
    "Opened",
    "Option",
    "Output",
    "Parity",
    "Pipeline",
    "Plan",
    "PluginError",
    "Postprocessor",
    "PostprocessorSpec",
    "Predictor",
    "Preprocessor",
    "PreprocessorSpec",
    "Progress",
    "QcoreError",
    "Quantity",
    "Quantizer",
    "QuantizerSpec",
    "Recording",
    "Reporter",
    "Requirement",
    "Seen",
    "Session",
    "Silent",
    "Skipping",
    "Spec",
    "Step",
    "Sums",
    "Tensor",
    "UsageError",
    "add_common",
    "assembled",
    "bundled",
    "choose_loader",
    "counted",
    "describe_exported",
    "elsewhere",
    "evaluator",
    "format_for",
    "hookimpl",
    "json_array",
    "load_model",
    "load_opened",
    "meant",
    "no_contract",
    "only",
    "open_file",
    "output_directory",
    "plain",
    "prepared_content",
    "prove",
    "publish",
    "quantities",
    "read_samples",
    "read_text",
    "recognise",
    "replacing",
    "require",
    "run_seen",
    "save_model",
    "sha256",
    "shared_options",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    for module, names in _LATER.items():
        if name in names:
            value = getattr(import_module(f"qcore.{module}"), names[name])
            globals()[name] = value
            return value
    raise AttributeError(f"module 'qcore.plugin' has no attribute {name!r}")
