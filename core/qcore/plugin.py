"""All that a plugin may import from the core: specs, hooks, errors, data, and what components must be able to do.

Names are public under one version rule: within an `API_VERSION` they are only added to. Those that a plugin needs while
it is listed are imported with this module; the others when first asked for. Each spec's docstring is a whole plugin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# fmt: off
# ruff: noqa: I001, PLC0414 - `A as A` says that a name is public
from qcore.contract import DEPLOYED as DEPLOYED, KEY as KEY, Contract as Contract, Step as Step, Tensor as Tensor
from qcore.errors import (
    AssumptionWarning as AssumptionWarning, CheckFailed as CheckFailed, FileError as FileError,
    MissingDependency as MissingDependency, MissingDevice as MissingDevice, NoRoute as NoRoute,
    PluginError as PluginError, QcoreError as QcoreError, UsageError as UsageError,
)
from qcore.forms import Form as Form
from qcore.host.hooks import API_VERSION as API_VERSION, hookimpl as hookimpl
from qcore.host.options import Option as Option
from qcore.host.requirements import Requirement as Requirement
from qcore.host.specs import (
    BackendSpec as BackendSpec, CommandSpec as CommandSpec, ConverterSpec as ConverterSpec,
    EvaluatorSpec as EvaluatorSpec, FormatSpec as FormatSpec, LoaderSpec as LoaderSpec,
    PostprocessorSpec as PostprocessorSpec, PreprocessorSpec as PreprocessorSpec, QuantizerSpec as QuantizerSpec,
    Spec as Spec, VerifierSpec as VerifierSpec,
)

if TYPE_CHECKING:
    from qcore.cli.console import Output as Output
    from qcore.cli.frame import add_common as add_common
    from qcore.files import (
        output_directory as output_directory, publish as publish, read_text as read_text, replacing as replacing,
        require as require, sha256 as sha256,
    )
    from qcore.host.border import called as called
    from qcore.host.choice import bundled as bundled, only as only, shared_options as shared_options
    from qcore.host.plugins import Host as Host
    from qcore.host.requirements import DISTRIBUTION as DISTRIBUTION
    from qcore.model import Model as Model
    from qcore.progress import Silent as Silent, Skipping as Skipping
    from qcore.protocols import (
        AnyShape as AnyShape, Arrays as Arrays, Backend as Backend, CalibrationData as CalibrationData,
        Converter as Converter, Digests as Digests, Evaluator as Evaluator, Format as Format, HasAdvice as HasAdvice,
        HasItems as HasItems, HasPrepared as HasPrepared, HasSections as HasSections, LIMIT as LIMIT, Loader as Loader,
        OnError as OnError, Postprocessor as Postprocessor, Prepared as Prepared, Preprocessor as Preprocessor,
        Progress as Progress, Quantizer as Quantizer, Session as Session, Tally as Tally,
    )
    from qcore.words import counted as counted, meant as meant, plain as plain
    from qcore.workflow.evaluating import Evaluation as Evaluation, evaluator as evaluator, Judge as Judge
    from qcore.workflow.inputs import (
        batch_size as batch_size, Calibration as Calibration, cut as cut, split as split, stack as stack,
    )
    from qcore.workflow.opening import (
        choose_loader as choose_loader, format_for as format_for, open_file as open_file, Opened as Opened,
        recognise as recognise,
    )
    from qcore.workflow.planner import Plan as Plan
    from qcore.workflow.predictor import assembled as assembled, Predictor as Predictor
    from qcore.workflow.recipe import Labelled as Labelled, Quantizing as Quantizing, Recipe as Recipe, recipe as recipe
    from qcore.workflow.run import Run as Run
    from qcore.workflow.sessions import compiled as compiled
# fmt: on

_LATER = {
    "files": "output_directory publish read_text replacing require sha256",
    "model": "Model",
    "progress": "Silent Skipping",
    "words": "counted meant plain",
    "protocols": (
        "AnyShape Arrays Backend CalibrationData Converter Digests Evaluator Format HasAdvice HasItems HasPrepared "
        "HasSections LIMIT Loader OnError Postprocessor Prepared Preprocessor Progress Quantizer Session Tally"
    ),
    "host.border": "called",
    "host.requirements": "DISTRIBUTION",
    "host.plugins": "Host",
    "host.choice": "bundled only shared_options",
    "cli.console": "Output",
    "cli.frame": "add_common",
    "workflow.recipe": "Labelled Quantizing Recipe recipe",
    "workflow.run": "Run",
    "workflow.sessions": "compiled",
    "workflow.predictor": "Predictor assembled",
    "workflow.planner": "Plan find_route=find",
    "workflow.evaluating": "Evaluation Judge evaluator",
    "workflow.inputs": "batch_size stack split cut Calibration",
    "workflow.opening": (
        "Opened open_file recognise format_for choose_loader "
        "load_opened=loaded prepared_content=prepared save_model=save load_model=load"
    ),
}
"""Module -> names of it, `public=own` where they differ, that are imported when they are asked for: listing plugins
needs none of them."""
_HOME = {
    word.partition("=")[0]: (module, word.rpartition("=")[2])
    for module, words in _LATER.items()
    for word in words.split()
}

__all__ = sorted({name for name in vars() if name[0] != "_"} - {"Any", "TYPE_CHECKING", "annotations"} | set(_HOME))  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module 'qcore.plugin' has no attribute {name!r}")
    module, own = _HOME[name]
    value = globals()[name] = getattr(import_module(f"qcore.{module}"), own)
    return value
