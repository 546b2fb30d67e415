"""What components of the kit's kinds do, and what any may do beside what its kind asks: ask with `isinstance`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from qcore.plugin import Arrays, CalibrationData, Contract, Model, Progress, Session

if TYPE_CHECKING:
    from qcore.plugin import Host, Judge, Output, Run
    from qcore_kit.reports import Report
    from qcore_kit.tuning.target import Target, Tuned


class Analyzer(Protocol):
    """Ranks layers by what quantizing them costs."""

    def analyze(
        self, model: Model, *, calibration: CalibrationData, options: Mapping[str, Any], progress: Progress
    ) -> list[dict[str, Any]]:
        """One row a layer, the one that costs most first; `layer` is what quantizers take as `exclude`.

        Where `share` is among its keys, the part of the whole cost that is this layer's, accuracy budgets even the
        noise of their measurements out with it.
        """


class Reporter(Protocol):
    """Draws reports."""

    def write(self, report: Any, path: Path) -> None:
        """Write one file that stands for itself; names and captions come from files and are not to be trusted."""


class Tuner(Protocol):
    """Changes what is quantized until something holds."""

    def tune(
        self, run: Run, target: Target, judge: Judge, *, options: Mapping[str, Any], folder: Path, output: Output
    ) -> Tuned:
        """The run that gives one file as it should be.

        Args:
            run: Of the recipe that quantizes; its calibration is shared by all that `vary` gives.
            target: The file, and what will run it.
            judge: Measures on the labelled data.
            options: Its own.
            folder: Of the results; what has to outlive an interruption can lie there.
            output: Where to tell what was tried.

        Raises:
            CheckFailed: It cannot be made to hold.
        """


class Observer(Protocol):
    """Is told what a command found."""

    def begin(self, options: Mapping[str, Any], host: Host) -> None:
        """Get ready, before the long work; raises a QcoreError where `finished` could only fail."""

    def finished(self, report: Report) -> Sequence[Path]:
        """Take what was found, a check that failed too; gives the files that it wrote."""


@dataclass(frozen=True)
class Executed:
    """How a compiled model computes its layers with weights, such as convolutions.

    Attributes:
        layers: How many there are in the compiled model.
        integer: How many of them compute in integers.
        floats: Names of the others, as the runtime tells them.
    """

    layers: int
    integer: int
    floats: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {"layers": self.layers, "integer": self.integer, "floats": list(self.floats)}


@runtime_checkable
class HasReady(Protocol):
    """A backend that needs a device."""

    def ready(self, options: Any) -> None:
        """Raise MissingDevice where this machine has nothing that it runs on, so that no model is made in vain."""


@runtime_checkable
class HasExecuted(Protocol):
    """A session that knows what the runtime compiled."""

    def executed(self) -> Executed | None:
        """What the compiled model, not the file, computes in integers; None where that cannot be told."""


@runtime_checkable
class HasCpu(Protocol):
    """A session that knows as which kind of CPU it computes, as in `machine.kind`; None where it does not."""

    cpu: str | None


@runtime_checkable
class HasFiles(Protocol):
    """A format of which a model takes several files."""

    def files(self, path: Path) -> Sequence[Path]:
        """Every file that belongs to a main file."""


@runtime_checkable
class HasExample(Protocol):
    """A preprocessor that makes up an input."""

    def example(self) -> Any:
        """An input as `read` gives it, always the same, of the size that the contract's tensor has."""


@runtime_checkable
class HasSource(Protocol):
    """A preprocessor or postprocessor that a script without qcore can have.

    A preprocessor's text has functions `read(path)` and `preprocess(raw)`, which returns the input tensor of the
    contract's batch and what `postprocess` needs; a postprocessor's has `postprocess(outputs, place)`, which returns
    records.
    """

    def source(self) -> str:
        """The text of a module."""


@runtime_checkable
class HasExplanation(Protocol):
    """A preprocessor that knows how others go wrong."""

    def explain(self, raw: Any, tensor: Any) -> Iterable[tuple[str, str]]:
        """How somebody else's tensor of an input differs: (name, line about it)."""


@runtime_checkable
class HasVariants(Protocol):
    """A preprocessor that can make common mistakes."""

    def variants(self, raw: Any) -> Iterable[tuple[str, str, Any]]:
        """What they would make of an input: (name, line about it, tensor)."""


@runtime_checkable
class HasQuantities(Protocol):
    """A postprocessor that takes raw outputs apart."""

    def quantities(self, outputs: Arrays, inputs: Arrays) -> Mapping[str, tuple[Any, Callable[[tuple[int, ...]], str]]]:
        """Of one input: name -> (array, what to call the place of an index)."""


@runtime_checkable
class HasAgreement(Protocol):
    """An evaluator that compares results of two models without labels.

    An attribute `faint` holds parameters of the postprocessor under which it wants the results, such as a low
    threshold: inputs that show nothing above the deployed one show something then. With `nearly_all` even an input that
    is made up does, which the suppression of a graph is verified by.
    """

    def agreement(
        self, pairs: Iterable[tuple[Any, Any]], *, contract: Contract | None = None, against: str = "reference"
    ) -> dict[str, Any]:
        """How far pairs of results of the same input, of a reference and of a candidate, agree.

        Args:
            pairs: Results of the reference and of the candidate.
            contract: Of the candidate, with the deployed parameters.
            against: `reference`, which computes the same numbers by other means, or `float`, the model before it was
                quantized, from which more may be allowed.

        Returns:
            Figures by name, among them `agree`, the verdict, and `summary`, one line for people. Optional: `enough`,
            whether the pairs show enough for that to prove anything, and `faults`, one line for each that was found.
        """


@runtime_checkable
class HasReference(Protocol):
    """A converter that can run what it is given, where no backend does."""

    def source(self, model: Model) -> Session:
        """A session of the model."""


@runtime_checkable
class LeavesFloat(Protocol):
    """A quantizer that can leave layers float after the calibration."""

    def leaving_float(self, model: Model, layers: Sequence[str]) -> Model:
        """The quantized model with further layers float; names as in `Model.layers`."""


@runtime_checkable
class CalibratesInParts(Protocol):
    """A quantizer whose calibration can be divided among processes or machines.

    It has an option `calibrated`: files with what `calibrate` gave for each part, instead of running all inputs.
    """

    def calibrate(
        self, model: Model, *, calibration: CalibrationData, options: Mapping[str, Any], progress: Progress
    ) -> Any:
        """What the inputs of a part show, as plain data that JSON can hold."""


@runtime_checkable
class HasSaturation(Protocol):
    """An opened model whose integer sums can be asked for."""

    def saturation(self, inputs: Sequence[Arrays], backend: str) -> Mapping[str, float]:
        """Integer layers that can saturate on x86 CPUs without VNNI -> signal-to-noise ratio of their sums in dB."""


@runtime_checkable
class HasComparison(Protocol):
    """An evaluator that compares two models."""

    def comparison(
        self,
        reference: Contract,
        candidate: Contract,
        data: Any,
        *,
        max_drop: float,
        **options: Any,
    ) -> Any:
        """Collects the results of two models on the data, labelled or not.

        The main figure may be lower by `max_drop`, however certain that is. The options are the evaluator's own, as
        its spec declares them.
        """


@runtime_checkable
class HasAbsent(Protocol):
    """A tally that knows which inputs of its data do not exist.

    Attributes:
        absent: Their names; they are not among `items`.
    """

    absent: Sequence[str]


@runtime_checkable
class Merges(Protocol):
    """A tally whose inputs can be divided among processes or machines."""

    def state(self) -> Any:
        """What was added, as plain data that JSON can hold."""

    def merge(self, state: Any) -> None:
        """Add what another tally of the same data was given.

        Raises:
            FileError: It is no such state, or an input is in both.
        """
