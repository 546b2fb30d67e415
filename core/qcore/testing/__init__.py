"""What every component has to hold to: a conformance suite for plugins.

Each kind of component has a class of checks, its methods `test_*`: what is declared, what the protocol asks, how the
component behaves. Some need an example, such as a file that a loader reads: a method to override.

```python
from qcore.testing import BackendConformance


class TestTiny(BackendConformance):
    component = "tiny"

    def model(self, folder):
        return tiny_model()
```

pytest runs such classes as they are. `pytest --pyargs qcore.testing --qcore-plugin NAME` and, without pytest,
`qcore check-plugin NAME` run them for all components of a plugin: those of the module that the plugin's distribution
names in the entry-point group `qcore.conformance`, and for a component without one the class of its kind, whose checks
then lack their examples and are skipped. Kinds of the kit and of others bring their classes through the entry-point
group `qcore.testing`, named like the kind.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# fmt: off

if TYPE_CHECKING:
    from qcore.testing.conformance import Conformance as Conformance
    from qcore.testing.conformance import NeedsExample as NeedsExample
    from qcore.testing.fakes import CalibrationInputs as CalibrationInputs
    from qcore.testing.judged import EvaluatorConformance as EvaluatorConformance
    from qcore.testing.judged import VerifierConformance as VerifierConformance
    from qcore.testing.processing import PostprocessorConformance as PostprocessorConformance
    from qcore.testing.processing import PreprocessorConformance as PreprocessorConformance
    from qcore.testing.read import FormatConformance as FormatConformance
    from qcore.testing.read import LoaderConformance as LoaderConformance
    from qcore.testing.run import Outcome as Outcome
    from qcore.testing.run import conformance_of as conformance_of
    from qcore.testing.run import run_checks as run_checks
    from qcore.testing.said import CommandConformance as CommandConformance
    from qcore.testing.turned import BackendConformance as BackendConformance
    from qcore.testing.turned import ConverterConformance as ConverterConformance
    from qcore.testing.turned import QuantizerConformance as QuantizerConformance
    from qcore.testing.turned import made_up as made_up
# fmt: on

_HOMES = {
    "conformance": "Conformance NeedsExample",
    "fakes": "CalibrationInputs",
    "judged": "EvaluatorConformance VerifierConformance",
    "processing": "PostprocessorConformance PreprocessorConformance",
    "read": "FormatConformance LoaderConformance",
    "run": "Outcome checks_of conformance_of run_checks",
    "said": "CommandConformance",
    "turned": "BackendConformance ConverterConformance QuantizerConformance made_up",
}
"""Module -> names of it, imported when they are asked for: pytest loads this package wherever qcore is installed."""
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = sorted(_HOME)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'qcore.testing' has no attribute {name!r}")
    return getattr(import_module(f"qcore.testing.{_HOME[name]}"), name)
