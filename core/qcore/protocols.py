"""What the target of each kind of component must be able to do.

Targets are created without arguments, except preprocessors and postprocessors, which are configured by the contract.
Arrays are NumPy arrays wherever they cross a border between components.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from qcore.contract import Contract, Tensor
from qcore.forms import Form
from qcore.model import Model

T = TypeVar("T")
LIMIT, SEED = 512, 0
"""How many calibration inputs are drawn at most, and the seed of the draw."""
Arrays = Mapping[str, Any]
"""Tensor name -> NumPy array."""


@dataclass(frozen=True)
class Prepared:
    """One input, ready for the model.

    Attributes:
        arrays: Every input tensor by name; 1 along the axis that its contract calls `batch`.
        context: What the postprocessor needs to map results back, such as where a picture lies in its tensor.
    """

    arrays: Arrays
    context: Any = None


class Progress(Protocol):
    """How a long step tells where it is."""

    def track(self, items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
        """Yield the items, showing how far the loop is."""
        ...

    def step(self, description: str) -> AbstractContextManager[None]:
        """Show that something goes on whose end cannot be told; not around `track`."""
        ...

    def say(self, message: str) -> None:
        """A line for the user: a warning, a fact worth knowing."""
        ...


class CalibrationData(Protocol):
    """Calibration inputs, already preprocessed at the model's own shape; can be iterated more than once.

    Attributes:
        judge: Gives the main figure (e.g. AP) of any session of this model on labelled data; None without such data.
    """

    judge: Callable[[Session], float] | None

    @property
    def sha256(self) -> str:
        """Over the contents of all inputs, as they were read."""
        ...

    def __len__(self) -> int:
        """How many batches there are, at most: what cannot be read is left out once it is met."""
        ...

    @property
    def count(self) -> int:
        """How many inputs there are."""
        ...

    def take(self, places: Sequence[int]) -> Arrays:
        """The inputs at those places as one batch, of any size."""
        ...

    def __iter__(self) -> Iterator[Arrays]:
        """Input tensors by name, one batch a step."""
        ...


class Format(Protocol):
    """Files of one format.

    Optional: `files(path)` names every file that belongs to a main file, where there are more; `prepared(content)`
    gives the content in the one form that quantizers and converters read, where writers of files differ.
    """

    def sniff(self, path: Path) -> bool:
        """Whether the content of the file is of this format; cheap, and works where the framework is not installed."""
        ...

    def open(self, path: Path) -> Any:
        """The content, for loaders and backends. Raises FileError where it is damaged."""
        ...

    def contract(self, content: Any) -> Contract | None:
        """The contract inside, if any."""
        ...

    def form(self, content: Any) -> Form:
        """What the content is technically."""
        ...

    def signature(self, content: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Inputs and outputs as the file itself tells them."""
        ...

    def write(self, model: Model, path: Path) -> Sequence[Path]:
        """Write the model with its contract inside.

        `path` names the main file in a fresh directory; returns the files in the order of publication, main file last.
        """
        ...


class Loader(Protocol):
    """One family of models."""

    def matches(self, content: Any) -> str | None:
        """What the content is in a few words, or None where it is not of this family."""
        ...

    def load(self, content: Any, *, options: Mapping[str, Any]) -> Model:
        """The model with its contract."""
        ...


class Converter(Protocol):
    """From one form to another.

    Before a file is written, the result runs beside what it was made from, on an input that is made up. Optional:
    `verifies = True` where the converter has done that itself; `source(model)` gives a session of what it was given,
    where no backend runs such models.
    """

    def convert(self, model: Model, *, options: Mapping[str, Any], progress: Progress) -> Model:
        """The same model in the other form, with a contract that says so."""
        ...


class Quantizer(Protocol):
    """From float to quantized.

    Optional: `leaving_float(model, layers)` gives an earlier result again with further layers float; with it, or with
    an option `exclude`, the quantizer takes part in accuracy budgets.
    """

    def quantize(
        self, model: Model, *, calibration: CalibrationData, options: Mapping[str, Any], progress: Progress
    ) -> Model:
        """The quantized model, or its scale table."""
        ...


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


class Session(Protocol):
    """A compiled model.

    A session that takes inputs of other shapes than the contract's says so with an attribute `any_shape = True`.
    Optional: `executed()` gives an `Executed`, of the model as the runtime compiled it and not of the file, or None
    where that cannot be told; `qcore quantize` says how many layers run in integers.
    """

    executed_precision: str

    def run(self, inputs: Arrays) -> Arrays:
        """One inference: all outputs by name."""
        ...


class Backend(Protocol):
    """A runtime.

    Optional: `ready(options)` raises MissingDevice where this machine has nothing that it runs on, so that no model is
    made for it in vain.
    """

    def compile(self, model: Model, *, options: Mapping[str, Any]) -> Session:
        """Make the model ready to run."""
        ...


@runtime_checkable
class Recording(Protocol):
    """Inputs that one source gives one after another, such as the frames of a video.

    Each item that it yields has it as its attribute `recording`; `str` of the item, and of the recording, names it.
    Iterating raises FileError where it cannot be opened, and at its end where inputs that it announced did not come.

    Attributes:
        stem: Name for files made of it, without a suffix.
        total: How many items there are, as far as that can be told beforehand.
        rate: Items per second; None where that is not known.
    """

    stem: str
    total: int | None
    rate: float | None

    def __iter__(self) -> Iterator[Any]:
        """The items, one at a time in memory."""
        ...


class Preprocessor(Protocol):
    """Reads inputs; created with (params, inputs of the contract).

    Optional: `example()` makes up an input as `read` gives it, always the same, of the size that the contract's tensor
    has; `qcore benchmark` runs on it where it is given no data. `source()` gives the text of functions `read(path)` and
    `preprocess(raw)` that do the same without qcore, for `qcore snippet`; the latter returns the input tensor of the
    contract's batch and what `postprocess` needs. For `qcore compare`, `params` is a dataclass of its parameters with
    defaults filled in, `explain(raw, tensor)` tells how somebody else's tensor of an input differs, as (name, line)
    pairs, and `variants(raw)` gives (name, line, tensor) for what common mistakes would make.

    Optional, too: `recording(source)` gives the `Recording` that a source, or an item of `expand`, is, or None;
    prediction runs on each of its items, everything else on items of `expand` only.
    """

    def expand(self, source: Any) -> Sequence[Any]:
        """The single inputs that a file, a folder or an iterable stands for, in a stable order."""
        ...

    def read(self, item: Any) -> Any:
        """One input as it was recorded; FileError where it cannot be read."""
        ...

    def prepare(self, raw: Any) -> Prepared:
        """The input tensors of one input, and what the postprocessor needs to map results back."""
        ...


@runtime_checkable
class Digests(Protocol):
    """A preprocessor whose raw inputs are no arrays, bytes, text or collections of those."""

    def digest(self, raw: Any) -> bytes:
        """Bytes that two inputs share only if they are the same: calibration data is known by a hash of them."""
        ...


class Postprocessor(Protocol):
    """Makes results; created with (params, outputs of the contract, class names).

    Optional: `source()` gives the text of a function `postprocess(outputs, place)` that returns records without qcore,
    for `qcore snippet`. `quantities(outputs, inputs)` takes the outputs for the arrays of one input apart: name ->
    (array, function from an index to words), for `qcore compare`.
    """

    def __call__(self, outputs: Arrays, geometries: Sequence[Any]) -> Sequence[Any]:
        """One result for each element of the batch, in the coordinates of the input."""
        ...


class Analyzer(Protocol):
    """Ranks layers by what quantizing them costs."""

    def analyze(
        self, model: Model, *, calibration: CalibrationData, options: Mapping[str, Any], progress: Progress
    ) -> list[dict[str, Any]]:
        """One row a layer, the one that costs most first; `layer` is what quantizers take as `exclude`.

        Where `share` is among its keys, the part of the whole cost that is this layer's, accuracy budgets even the
        noise of their measurements out with it.
        """
        ...


class Reporter(Protocol):
    """Draws reports."""

    def write(self, report: Any, path: Path) -> None:
        """Write one file that stands for itself; names and captions come from files and are not to be trusted."""
        ...


class Evaluator(Protocol):
    """Measures results against labels.

    Attributes:
        figure: Name of the main figure, the higher the better; budgets and trainings are decided by it. Optional.
    """

    figure: str

    def evaluate(
        self, predictor: Any, data: Any, *, images: Any, classes: Mapping[str, str] | None, progress: Progress
    ) -> dict[str, Any]:
        """Figures by name."""
        ...

    def report(
        self, predictor: Any, data: Any, *, images: Any, classes: Mapping[str, str] | None, progress: Progress
    ) -> tuple[dict[str, Any], Sequence[Any]]:
        """The figures of `evaluate` and what a report shows of the same run: tables, curves, pictures. Optional."""
        ...

    def agreement(
        self, pairs: Iterable[tuple[Any, Any]], *, contract: Contract | None = None, against: str = "reference"
    ) -> dict[str, Any]:
        """How far pairs of results of the same input, of a reference and of a candidate, agree. Optional.

        An attribute `faint` holds parameters of the postprocessor under which it wants the results, such as a low
        threshold. Inputs that show nothing above the deployed one then show something still. With `nearly_all` even an
        input that is made up does, which the suppression of a graph is verified by.

        Args:
            pairs: Results of the reference and of the candidate.
            contract: Of the candidate, with the deployed parameters.
            against: `reference`, which computes the same numbers by other means, or `float`, the model before it was
                quantized, from which more may be allowed.

        Returns:
            Figures by name, among them `agree`, the verdict, and `summary`, one line for people. Optional: `enough`,
            whether the pairs show enough for that to prove anything, and `faults`, one line for each that was found.
        """
        ...

    def comparison(
        self,
        reference: Contract,
        candidate: Contract,
        data: Any,
        *,
        images: Any,
        classes: Mapping[str, str] | None,
        max_drop: float,
    ) -> Any:
        """Collects the results of two models on the data, labelled or not. Optional.

        The main figure may be lower by `max_drop`, however certain that is.
        """
        ...


class Verifier(Protocol):
    """Follows a model along its route."""

    def check(
        self, step: Any, before: Model, after: Model, *, options: Mapping[str, Any], host: Any, progress: Progress
    ) -> None:
        """Compare what both give.

        Args:
            step: Spec of the converter.
            before: What it was given.
            after: What it made of it.
            options: It ran with these.
            host: Where components come from.
            progress: Told what could not be verified.

        Raises:
            CheckFailed: They differ by more than the converter may change.
        """
        ...


class Command(Protocol):
    """A subcommand of the command line.

    Optional: `example`, a line for its help, and `actions = True` where its arguments are commands of their own.
    """

    def arguments(self, parser: Any, host: Any) -> None:
        """Add its arguments to an `argparse.ArgumentParser`; `host` is where components come from."""
        ...

    def run(self, options: Any, output: Any, host: Any) -> int | None:
        """Do it, with the parsed options; returns the exit code, 0 for None."""
        ...
