"""`qcore predict`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore.plugin import FileError, Host, Output, UsageError, batch_size
from qcore_kit import commandline, recordings
from qcore_kit.folders import writable
from qcore_kit.recordings import Recording
from qcore_kit.results import Results, Writers, json_array, results_of
from qcore_plugins.commands.drawings import Drawings

if TYPE_CHECKING:
    from qcore.plugin import Predictor, Run


STDOUT = "-"
"""As `-o`: the file goes to standard output, and nothing else does."""


def predict(options: argparse.Namespace, output: Output, run: Run) -> int:
    """Run every input; unreadable ones are named and skipped, and make the exit code 6 if nothing was readable."""
    _check(options)
    output = _alone(options, output)
    folder = writable(options.save) if options.save else None
    predictor = run.predictor()
    results, suffix = results_of(predictor.contract, run.host)
    _set_batch(predictor, options.batch_size)
    parts = [part for source in options.inputs for part in recordings.parts(predictor.preprocessor, source)]
    _protect(options, parts)
    documents: list[dict[str, Any]] = []
    seen = read = written = 0

    def skip(item: Any, error: FileError) -> None:
        output.warn(error.message if isinstance(item, Recording) else f"skipped: {error.message}")

    items = recordings.items(parts, skip, limit=options.limit, stride=options.stride)
    done = predictor.run(items, on_error=skip)
    with ExitStack() as stack:
        drawings = (
            stack.enter_context(Drawings(folder, results, suffix, parts, options.inputs, options.stride))
            if folder
            else None
        )
        writer = stack.enter_context(_writer(options, predictor, results, parts)) if options.out else None
        for item, raw, result in output.progress.track(done, "predicting", _total(parts, options)):
            seen += 1
            if raw is None:
                continue
            read += 1
            records = results.records(result)
            if options.json:
                documents.append({"input": str(item), "results": records})
            else:
                _say(output, item, records)
            if drawings:
                drawings.add(item, raw, result)
            if writer:
                written += _added(writer, item, raw, result, skip)
        if not read:
            count = max(seen, len(parts))
            raise FileError(f"none of the {count} inputs could be read", hint="see the lines above")
        if writer and not written:
            raise FileError(
                f"{options.out}: not written, because no result could be added to it", hint="see the lines above"
            )
    if options.json:
        output.result(documents)
    return 0


def _alone(options: argparse.Namespace, output: Output) -> Output:
    """Where words go: nowhere if the file is what standard output is for."""
    if options.out != STDOUT:
        return output
    options.out = "/dev/stdout"
    return replace(output, json=True)


def _check(options: argparse.Namespace) -> None:
    """Refuse arguments that mean nothing together, before anything is read.

    Raises:
        UsageError: They do.
    """
    for name in ("limit", "stride", "batch_size"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} {value} is not a positive number")
    if options.out == STDOUT and (options.json or str(options.format).startswith("yolo")):
        raise UsageError("-o - writes one file to standard output", hint="leave --json out, or choose a file")
    if options.format and not options.out:
        raise UsageError(f"--format {options.format} requires -o", hint="add -o FILE")
    if options.data and options.format in (None, "json"):
        raise UsageError("--data requires --format coco")


def _protect(options: argparse.Namespace, parts: Sequence[Any]) -> None:
    """Refuse results that would take the place of something that is read.

    Raises:
        UsageError: They would.
    """
    read = [options.model, *map(str, parts), *([options.data] if options.data else [])]
    if options.out and Path(options.out).resolve() in {Path(name).resolve() for name in read}:
        raise UsageError(f"-o {options.out} would overwrite what is read", hint="choose another file")


def _set_batch(predictor: Predictor, size: int | None) -> None:
    """Run so many inputs at once.

    Raises:
        UsageError: The model takes another number.
    """
    fixed = batch_size(predictor.contract.inputs, 0)
    if size is None or size == fixed:
        return
    if fixed:
        raise UsageError(
            f"--batch-size {size}: the batch of this model is fixed at {fixed}",
            hint="qcore export CHECKPOINT --batch dynamic makes a file that takes any number",
        )
    predictor.batch_size = size


def _total(parts: Sequence[Any], options: argparse.Namespace) -> int | None:
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


def _writer(
    options: argparse.Namespace, predictor: Predictor, results: Results, parts: Sequence[Any]
) -> AbstractContextManager[Any]:
    """What writes the file of `--format`.

    Raises:
        UsageError: There is no such format for this model's results.
    """
    known: Mapping[str, Any] = {
        **(results.writers(predictor.contract.classes) if isinstance(results, Writers) else {}),
        "json": partial(_documents, records=results.records),
    }
    wanted = options.format or "json"
    if wanted not in known:
        raise UsageError(f"there is no format {wanted}", hint=f"--format one of {', '.join(sorted(known))}")
    names = None if any(isinstance(part, Recording) for part in parts) else [str(part) for part in parts]
    writer: AbstractContextManager[Any] = known[wanted](
        Path(options.out), names, Path(options.data) if options.data else None
    )
    return writer


class _Documents:
    def __init__(self, write: Any, records: Any) -> None:
        self._write, self._records = write, records

    def add(self, name: str, _: Any, result: Any) -> None:
        self._write({"input": name, "results": self._records(result)})


@contextmanager
def _documents(path: Path, _: Any, __: Any, *, records: Any) -> Iterator[_Documents]:
    """The same as `--json` prints, in a file."""
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; JSON is one file", hint=f"-o {path / 'results.json'}")
    with json_array(path) as write:
        yield _Documents(write, records)


def _added(writer: Any, item: Any, raw: Any, result: Any, skip: Any) -> bool:
    """Whether a result had a place in the file: labelled data may not have the input."""
    try:
        writer.add(str(item), raw, result)
    except FileError as error:
        skip(item, error)
        return False
    return True


def _say(output: Output, item: Any, records: list[dict[str, Any]]) -> None:
    output.say(f"{item}: {summary(records)}")
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


class Predict:
    """Runs a model on inputs."""

    example = "qcore predict out/yolov5n.xml street.jpg --save shown/"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:
        """What it takes."""
        commandline.add_model(parser)
        parser.add_argument(
            "inputs",
            nargs="+",
            metavar="INPUT",
            help="files, folders, patterns such as in/**/*.jpg, or the number of a camera",
        )
        parser.add_argument(
            "--save", metavar="DIR", help="directory for copies of the inputs with the results drawn on them"
        )
        parser.add_argument(
            "-o",
            "--out",
            metavar="PATH",
            help="write the results: a file, a folder for --format yolo, or - for standard output",
        )
        parser.add_argument(
            "--format", metavar="F", help="format of -o: json (default); for detectors also coco, yolo and yolo-labels"
        )
        parser.add_argument("--data", metavar="FILE", help="COCO JSON file that supplies the ids for --format coco")
        parser.add_argument(
            "--batch-size",
            type=int,
            metavar="N",
            help="inputs per inference, for models with a dynamic batch (default: 1)",
        )
        parser.add_argument("--limit", type=int, metavar="N", help="at most N frames of each video or camera")
        parser.add_argument(
            "--stride", type=int, default=1, metavar="N", help="every Nth frame of each video or camera (default: 1)"
        )
        commandline.add_runtime(parser)
        commandline.add_conversion(parser, host)

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Run every input."""
        return predict(options, output, commandline.running(options, output, host))
