"""The inputs of one `qcore predict` on their way to everything that takes their results."""

from __future__ import annotations

import argparse
import hashlib
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qcore
from qcore.plugin import FileError, Host, Output, UsageError, counted
from qcore_kit import commandline
from qcore_kit.recordings import Recording
from qcore_kit.results import Keeps, Results
from qcore_plugins.commands import kept as keeping
from qcore_plugins.commands.kept import Kept
from qcore_plugins.commands.outcomes import Outcome, outcomes

if TYPE_CHECKING:
    from qcore.plugin import Predictor
    from qcore_plugins.commands.drawings import Drawings


class Work:
    """The inputs of one call.

    Attributes:
        drawings: Takes every result with its input; None without `--save`.
        writer: The file of `-o`: its `take(document, raw, result)` gets every input; None without.
        document: Prints one element of the document of `--json`; None without.
        seen: How many inputs there were.
        unread: How many of them could not be read, and recordings that could not be opened or end early.
        left_out: How many results have no place in the file of `-o`.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        output: Output,
        host: Host,
        predictor: Predictor,
        results: Results,
        parts: Sequence[Any],
    ) -> None:
        """Nothing is run yet.

        Args:
            options: Arguments of the command.
            output: Where its words go.
            host: Where components come from.
            predictor: What runs the inputs.
            results: The component for the results of the task.
            parts: Single inputs and recordings.
        """
        self._options, self._output, self._host = options, output, host
        self._predictor, self._results, self._parts = predictor, results, parts
        self._total = total(parts, options)
        self._kept: Kept | None = None
        self._start = 0, 0
        self._part = -1
        self._frames: Iterator[dict[str, Any]] = iter(())
        self.drawings: Drawings | None = None
        self.writer: Any = None
        self.document: Callable[[Any], None] | None = None
        self.seen = self.unread = self.left_out = self._written = 0

    @contextmanager
    def keeping(self) -> Iterator[bool]:
        """Keep results until all are where they belong; whether an interrupted run is continued.

        Raises:
            UsageError: `--resume` was given, and nothing can be kept; or it was not, and something was kept.
        """
        self._kept = self._place()
        if self._kept is None:
            yield False
            return
        try:
            with self._kept as kept:
                resumed = kept.begin(resume=self._options.resume)
                if self._options.resume and not resumed:
                    self._output.note(f"{kept.path} not found: starting with the first input")
                yield resumed
        except KeyboardInterrupt as stop:
            if kept.on_disk:
                raise type(stop)(self._hint(kept)) from stop
            raise
        except Exception:
            if self._kept.on_disk:
                self._output.note(self._hint(self._kept))
            raise

    def _hint(self, kept: Kept) -> str:
        argv = list(getattr(self._options, "argv", ()))
        command = shlex.join(["qcore", *argv, *(() if "--resume" in argv else ["--resume"])])
        of = f" of {self._total:,}" if self._total else ""
        return f"{kept.count:,}{of} inputs are kept in {kept.path}\n  hint: continue with {command}"

    def _place(self) -> Kept | None:
        """Where results are kept; None if they cannot be.

        Raises:
            UsageError: They cannot be, and `--resume` was given.
        """
        options, reason = self._options, ""
        out = options.out or options.save
        path, folder = Path(out or ""), not options.out or str(options.format).startswith("yolo")
        if out is None or (path.is_dir() and not folder):  # which its writer refuses
            return None
        if path.exists() and (path.parent == Path("/dev") or not (path.is_file() or path.is_dir())):
            reason = f"{out} is not a regular file"
        elif not keeping.repeatable(self._parts):
            reason = "a camera cannot be read again"
        elif self._exact and not isinstance(self._results, Keeps):
            reason = f"results of the task {self._predictor.contract.task} can be continued only as JSON"
        if reason:
            if options.resume:
                raise UsageError(f"--resume: {reason}", hint="omit --resume")
            return None
        return Kept(keeping.beside(out, folder=folder), self._header(), self._parts)

    @property
    def _exact(self) -> bool:
        """Whether more than the records of a result is needed to continue."""
        return self._options.format not in (None, "json") or bool(self._options.save)

    def _header(self) -> dict[str, Any]:
        """What the results depend on; the names stand in errors."""
        options, predictor = self._options, self._predictor
        contract = replace(predictor.contract, provenance={}).to_json()
        flags = ("format", "limit", "stride", "save")
        return {
            "qcore_version": qcore.__version__,
            "model": keeping.model(options.model, self._host),
            "backend": [predictor.backend, predictor.executed_precision, *options.backend_option],
            "conversion": {name: str(value) for name, value in commandline.conversion(options).items()},
            **{f"--{name}": getattr(options, name) for name in flags},
            "--batch-size": predictor.batch_size,
            "threshold_or_preprocessing": hashlib.sha256(contract.encode()).hexdigest(),
            "set_of_inputs": keeping.names(self._parts),
            "--data": [options.data, keeping.facts(options.data)] if options.data else None,
        }

    def replay(self) -> None:
        """Give everything what an interrupted run has kept of it, and begin after that.

        Raises:
            FileError: The file that keeps it is damaged.
        """
        kept = self._kept
        assert kept is not None  # noqa: S101 - asked for only if `keeping` said so
        self._output.note(f"{kept.path}: continuing after {counted(kept.count, 'input')}")
        self._start = part, done = kept.next
        for entry in kept.entries():
            raw, result = self._restored(entry)
            self._give(entry, raw, result, say=False)
            if self.drawings and raw is not None and not self._drawn_again(entry["part"]):
                self.drawings.skip(self._parts[entry["part"]], entry["document"]["input"])
        if done and self._drawn_again(part):
            self._frames = kept.entries(part)

    def _drawn_again(self, part: int) -> bool:
        """Whether it is a recording that the interrupted run had not finished: its drawing is one file."""
        drawn = self.drawings is not None and self.drawings.films
        return drawn and part == self._start[0] and isinstance(self._parts[part], Recording)

    def _restored(self, entry: dict[str, Any]) -> tuple[Any, Any]:
        """A stand-in for the input, and the result; None where more than the document was not kept."""
        if "kept" not in entry or not isinstance(self._results, Keeps):
            return None, None
        try:
            return self._results.restored(entry["kept"], self._predictor.contract.classes)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            path = self._kept.path if self._kept else ""
            raise FileError(f"{path}: damaged", hint="delete the file to start again") from error

    def run(self) -> None:
        """Run the inputs that remain.

        Raises:
            FileError: One cannot be read, with `--strict`; or nothing could be read, or added to the file of `-o`.
        """
        options = self._options
        each = outcomes(
            self._predictor,
            self._parts,
            limit=options.limit,
            stride=options.stride,
            start=self._start,
            passed=self._draw_again,
        )
        remaining = None if self._total is None else max(self._total - self.seen, 0)
        for outcome in self._output.progress.track(each, "predicting", remaining):
            self._take(outcome)
        if self.unread >= self.seen:
            count = max(self.seen, len(self._parts))
            raise FileError(f"none of the {count} inputs could be read", hint="see the lines above")
        if self.writer and not self._written:
            raise FileError(
                f"{options.out}: not written, because no result could be added to it", hint="see the lines above"
            )

    def _draw_again(self, item: Any) -> None:
        entry = next(self._frames, None)
        if self.drawings and entry is not None and "kept" in entry:
            self.drawings.add(item, self._predictor.preprocessor.read(item), self._restored(entry)[1])

    def _take(self, outcome: Outcome) -> None:
        document: dict[str, Any] = {"input": str(outcome.item), "results": []}
        if (time := getattr(outcome.item, "time", None)) is not None:
            document["time"] = round(time, 6)
        entry: dict[str, Any] = {"part": outcome.part, "document": document}
        if outcome.error is not None:
            if self._options.strict:
                raise outcome.error
            document["error"] = outcome.error.message
            entry |= {"whole": True} if outcome.whole else {}
            self._output.warn(f"{'' if outcome.whole else 'skipped: '}{outcome.error.message}")
        else:
            document["results"] = self._results.records(outcome.result)
            if self._exact and isinstance(self._results, Keeps):
                entry["kept"] = self._results.kept(outcome.raw, outcome.result)
        if self.drawings:
            self.drawings.begin(None if outcome.whole else self._parts[outcome.part])
            if outcome.error is None:
                self.drawings.add(outcome.item, outcome.raw, outcome.result)
        self._give(entry, outcome.raw, outcome.result)
        if self._kept:
            self._kept.add(entry, readable=outcome.error is None)

    def _give(self, entry: dict[str, Any], raw: Any, result: Any, *, say: bool = True) -> None:
        document: dict[str, Any] = entry["document"]
        readable = "error" not in document
        if not entry.get("whole") or entry["part"] != self._part:  # a recording that ends early is no input more
            self.seen += 1
            self.unread += not readable
        self._part = entry["part"]
        if self.document:
            self.document(document)
        elif say and readable:
            _say(self._output, document["input"], document["results"])
        if not self.writer:
            return
        try:
            self.writer.take(document, raw, result)
            self._written += readable
        except FileError as error:  # labelled data may not have the input
            if self._options.strict:
                raise
            self.left_out += 1
            self._output.warn(f"skipped: {error.message}")


def total(parts: Sequence[Any], options: argparse.Namespace) -> int | None:
    """How many inputs there will be, as far as that can be told."""
    count = 0
    for part in parts:
        if not isinstance(part, Recording):
            count += 1
        elif part.total is None:
            return None
        else:
            there = -(-part.total // options.stride)
            count += there if options.limit is None else min(there, options.limit)
    return count


def _say(output: Output, name: str, records: list[dict[str, Any]]) -> None:
    output.say(f"{name}: {summary(records)}")
    alone = len(records) == 1 and "name" not in records[0]
    for record in [] if output.quiet or alone else records:
        output.say(f"  {line(record)}")


def summary(records: list[dict[str, Any]]) -> str:
    """How many of what."""
    if len(records) == 1 and "name" not in records[0]:
        return line(records[0])
    counts: dict[str, int] = {}
    for record in records:
        name = str(record.get("name", "result"))
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing found"


def _part(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, int | float) else str(value)


def line(record: dict[str, Any]) -> str:
    """One record as text."""
    return "  ".join(
        f"{key}={value:.4f}" if isinstance(value, float)
        else f"{key}=[{', '.join(map(_part, value))}]" if isinstance(value, list)
        else f"{key}={value}"
        for key, value in record.items()
    )  # fmt: skip
