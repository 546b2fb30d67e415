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
from qcore.errors import FileError
from qcore.forms import Form
from qcore.model import Model

T = TypeVar("T")
LIMIT, SEED = 512, 0
"""How many calibration inputs are drawn at most, and the seed of the draw."""
Arrays = Mapping[str, Any]
"""Tensor name -> NumPy array."""
OnError = Callable[[Any, FileError], None]
"""Called with an input that cannot be read; where there is none, the error is raised."""


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

    def step(self, description: str) -> AbstractContextManager[None]:
        """Show that something goes on whose end cannot be told; not around `track`."""

    def say(self, message: str) -> None:
        """A line for the user: a warning, a fact worth knowing."""


class CalibrationData(Protocol):
    """Calibration inputs, already preprocessed at the model's own shape; can be iterated more than once.

    Attributes:
        judge: Gives the main figure (e.g. AP) of any session of this model on labelled data; None without such data.
    """

    judge: Callable[[Session], float] | None

    @property
    def sha256(self) -> str:
        """Over the contents of all inputs, as they were read."""

    def __len__(self) -> int:
        """How many batches there are, at most: what cannot be read is left out once it is met."""

    @property
    def count(self) -> int:
        """How many inputs there are."""

    def take(self, places: Sequence[int]) -> Arrays:
        """The inputs at those places as one batch, of any size."""

    def __iter__(self) -> Iterator[Arrays]:
        """Input tensors by name, one batch a step."""


class Format(Protocol):
    """Files of one format."""

    def sniff(self, path: Path) -> bool:
        """Whether the content of the file is of this format; cheap, and works where the framework is not installed."""

    def open(self, path: Path) -> Any:
        """The content, for loaders and backends. Raises FileError where it is damaged."""

    def contract(self, content: Any) -> Contract | None:
        """The contract inside, if any."""

    def form(self, content: Any) -> Form:
        """What the content is technically."""

    def signature(self, content: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Inputs and outputs as the file itself tells them."""

    def write(self, model: Model, path: Path) -> Sequence[Path]:
        """Write the model with its contract inside.

        `path` names the main file in a fresh directory; returns the files in the order of publication, main file last.
        """


@runtime_checkable
class HasPrepared(Protocol):
    """A format whose writers differ."""

    def prepared(self, content: Any) -> Any:
        """The content in the one form that quantizers and converters read."""


@runtime_checkable
class HasAdvice(Protocol):
    """A format that knows more of what no loader recognises."""

    def unrecognised(self, opened: Any, loaders: Sequence[Any]) -> FileError:
        """The error that says what is inside an `Opened`, and what to do; `loaders` are the specs of the format's."""


class Loader(Protocol):
    """One family of models."""

    def matches(self, content: Any) -> str | None:
        """What the content is in a few words, or None where it is not of this family."""

    def load(self, content: Any, *, options: Mapping[str, Any]) -> Model:
        """The model with its contract."""


class Converter(Protocol):
    """From one form to another.

    Before a file is written, the result runs beside what it was made from, on an input that is made up. Optional:
    `verifies = True` where the converter has done that itself; `source(model)` gives a session of what it was given,
    where no backend runs such models.
    """

    def convert(self, model: Model, *, options: Mapping[str, Any], progress: Progress) -> Model:
        """The same model in the other form, with a contract that says so."""


class Quantizer(Protocol):
    """From float to quantized.

    Optional: `leaving_float(model, layers)` gives an earlier result again with further layers float; with it, or with
    an option `exclude`, the quantizer takes part in accuracy budgets.
    """

    def quantize(
        self, model: Model, *, calibration: CalibrationData, options: Mapping[str, Any], progress: Progress
    ) -> Model:
        """The quantized model, or its scale table."""


class Session(Protocol):
    """A compiled model."""

    executed_precision: str

    def run(self, inputs: Arrays) -> Arrays:
        """One inference: all outputs by name."""


@runtime_checkable
class AnyShape(Protocol):
    """A session that says whether it takes inputs of other shapes than the contract's."""

    any_shape: bool


class Backend(Protocol):
    """A runtime."""

    def compile(self, model: Model, *, options: Mapping[str, Any]) -> Session:
        """Make the model ready to run."""


class Preprocessor(Protocol):
    """Reads inputs; created with (params, inputs of the contract)."""

    def expand(self, source: Any) -> Sequence[Any]:
        """The single inputs that a file, a folder or an iterable stands for, in a stable order."""

    def read(self, item: Any) -> Any:
        """One input as it was recorded; FileError where it cannot be read."""

    def prepare(self, raw: Any) -> Prepared:
        """The input tensors of one input, and what the postprocessor needs to map results back."""


@runtime_checkable
class Digests(Protocol):
    """A preprocessor whose raw inputs are no arrays, bytes, text or collections of those."""

    def digest(self, raw: Any) -> bytes:
        """Bytes that two inputs share only if they are the same: calibration data is known by a hash of them."""


@runtime_checkable
class HasItems(Protocol):
    """A preprocessor with sources whose inputs come one after another, such as videos."""

    def items(self, source: Any, on_error: OnError | None = None) -> Iterator[Any]:
        """The single inputs of a source, one at a time in memory; `on_error` gets a part that cannot be opened."""


class Postprocessor(Protocol):
    """Makes results; created with (params, outputs of the contract, class names)."""

    def __call__(self, outputs: Arrays, geometries: Sequence[Any]) -> Sequence[Any]:
        """One result for each element of the batch, in the coordinates of the input."""


class Tally(Protocol):
    """Results of one model on labelled data, being added up.

    Attributes:
        items: The inputs of the data, in its order.
    """

    items: Sequence[Any]

    def add(self, place: int, raw: Any, result: Any) -> None:
        """Take the result for one input.

        Args:
            place: Of the input in `items`.
            raw: As the preprocessor read it; None where it could not be read.
            result: Of the postprocessor; None likewise.
        """

    def figures(self) -> dict[str, Any]:
        """Figures by name, of what was added."""


@runtime_checkable
class HasSections(Protocol):
    """A tally that shows how its figures came about."""

    def sections(self, read: Callable[[Any], Any]) -> Sequence[Any]:
        """What a report shows: tables, curves, pictures; `read` gives an input as it was recorded."""


class Evaluator(Protocol):
    """Measures results against labels.

    Attributes:
        figure: Name of the main figure, the higher the better; budgets and trainings are decided by it. Optional.
    """

    figure: str

    def open(self, contract: Contract, data: Any, *, options: Mapping[str, Any], progress: Progress) -> Tally:
        """Begin to measure a model of that contract.

        Args:
            contract: As the model runs.
            data: Labelled data.
            options: Its own, such as where the inputs lie.
            progress: Told what is odd.

        Raises:
            FileError: The data cannot be read.
            UsageError: No class of the model is one of the data.
        """


class Verifier(Protocol):
    """Follows a model along its route."""

    def check(
        self, step: Any, before: Model, after: Model, *, options: Mapping[str, Any], host: Any, progress: Progress
    ) -> None:
        """Compare what a converter was given with what it made of it.

        `step` is its spec, `options` are its own, `host` is where components come from; `progress` is told what could
        not be verified.

        Raises:
            CheckFailed: They differ by more than the converter may change.
        """


class Command(Protocol):
    """A subcommand of the command line.

    Optional: `example`, a line for its help, and `actions = True` where its arguments are commands of their own.
    """

    def arguments(self, parser: Any, host: Any) -> None:
        """Add its arguments to an `argparse.ArgumentParser`; `host` is where components come from."""

    def run(self, options: Any, output: Any, host: Any) -> int | None:
        """Do it, with the parsed options; returns the exit code, 0 for None."""
