"""What people and files get of results: the component of kind `result` for the task."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from textwrap import indent
from typing import Any, Protocol, cast, runtime_checkable

from qcore.plugin import Contract, Host, Output, QcoreError, UsageError, only, plain, replacing
from qcore_kit.kinds import ResultSpec


class Results(Protocol):
    """The results of a task."""

    def records(self, result: Any) -> list[dict[str, Any]]:
        """The result as JSON-able records."""
        ...

    def draw(self, raw: Any, result: Any, path: Path) -> None:
        """Write the input with the result drawn on it."""
        ...


@runtime_checkable
class Films(Protocol):
    """Results whose recordings are drawn into one file."""

    def film(self, folder: Path, stem: str, rate: float | None) -> AbstractContextManager[Any]:
        """A context manager whose `add(raw, result)` draws the next item of a recording into a file of the folder."""
        ...


@runtime_checkable
class Writers(Protocol):
    """Results with file formats of their own, for `qcore predict --format`."""

    def writers(self, classes: Sequence[str]) -> Mapping[str, Any]:
        """Name of a format -> what makes a context manager of (path, names of inputs or None, labelled data or None).

        Its `add(name, raw, result)` writes one result; nothing half-written stays of what is broken off.
        """
        ...


@runtime_checkable
class Keeps(Protocol):
    """Results that can be kept in a file, so that an interrupted `qcore predict` goes on with them."""

    def kept(self, raw: Any, result: Any) -> Any:
        """A result, and what writers read from its input, as plain data that JSON can hold without loss."""

    def restored(self, kept: Any, classes: Sequence[str]) -> tuple[Any, Any]:
        """The inverse: a stand-in for the input, and the result.

        Args:
            kept: What `kept` returned, after a round trip through JSON.
            classes: Class names of the model.

        Raises:
            ValueError, TypeError, KeyError, IndexError: The data is damaged.
        """
        ...


class Plain:
    """Results of a task that no component is for: records where the result is plain data, no drawings."""

    def __init__(self, task: str) -> None:
        self.task = task

    def records(self, result: Any) -> list[dict[str, Any]]:
        """The result under its own names, or as `result`."""
        value = asdict(result) if is_dataclass(result) and not isinstance(result, type) else result
        parts = value if isinstance(value, list | tuple) else [value]
        return [plain(part) if isinstance(part, Mapping) else {"result": plain(part)} for part in parts]

    def draw(self, raw: Any, result: Any, path: Path) -> None:  # noqa: ARG002
        """Nothing.

        Raises:
            UsageError: Always.
        """
        raise UsageError(
            f"no plugin draws results of the task {self.task}",
            hint="qcore list-plugins --kind result shows those there are",
        )


def results_of(contract: Contract, host: Host) -> tuple[Results, str]:
    """The component for a contract's task, and the suffix of its drawings; `Plain` where there is none.

    Raises:
        UsageError: Several components are for it.
    """
    fitting = [spec for spec in host.specs(ResultSpec) if spec.task == contract.task]
    spec = only(fitting, what=f"show results of the task {contract.task}")
    if spec is None:
        return Plain(contract.task), ""
    return cast("Results", spec.create()), spec.suffix


@contextmanager
def json_array(path: Path, opening: str = "[", closing: str = "]") -> Iterator[Callable[[Any], None]]:
    """Write a JSON array element by element; the file is there if the block ends well.

    Bytes of file names that are no UTF-8 are escaped: read back, they are the same name.

    Args:
        path: Of the file.
        opening: Everything up to the first element.
        closing: Everything after the last one.

    Yields:
        A function that writes the next element.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", errors="backslashreplace") as stream:
        between = ""

        def write(element: Any) -> None:
            nonlocal between
            stream.write(f"{between}\n{json.dumps(element, ensure_ascii=False, default=str)}")
            between = ","

        stream.write(opening)
        yield write
        stream.write(f"\n{closing}\n")


@contextmanager
def json_stream(output: Output) -> Iterator[Callable[[Any], None]]:
    """Print a JSON array on standard output element by element, as the document of `--json`.

    The array is closed whatever happens, so that it can be parsed. If the block fails after the first element, the last
    element is `{"error", "hint", "code"}` instead of a result.

    Args:
        output: Where the command's words go.

    Yields:
        A function that prints the next element.
    """
    between = "["

    def write(element: Any) -> None:
        nonlocal between
        text = json.dumps(plain(element), indent=2, ensure_ascii=False)
        _print(output, f"{between}\n{indent(text, '  ')}")
        between = ","

    try:
        yield write
    except BrokenPipeError:
        raise
    except BaseException as error:
        if between == ",":
            write(_failure(error))
            _print(output, "\n]\n")
            output.json = False  # the document has its error; the command line adds none
        raise
    _print(output, "[]\n" if between == "[" else "\n]\n")


def _failure(error: BaseException) -> dict[str, Any]:
    """The element that ends an array whose command fails."""
    if isinstance(error, QcoreError):
        return {"error": error.message, "hint": error.hint, "code": error.code}
    if isinstance(error, KeyboardInterrupt):
        return {"error": "interrupted", "hint": None, "code": 130 if type(error) is KeyboardInterrupt else 143}
    return {"error": str(error) or type(error).__name__, "hint": None, "code": QcoreError.code}


def _print(output: Output, text: str) -> None:
    if not output.silent:
        output.results.write(text.encode("utf-8", "backslashreplace").decode())
        output.results.flush()
