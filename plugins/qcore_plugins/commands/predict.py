"""`qcore predict`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore.plugin import Host, Output, UsageError, batch_size, counted
from qcore_kit import commandline, recordings
from qcore_kit.folders import sweep, writable
from qcore_kit.recordings import Recording
from qcore_kit.results import Results, Writers, json_array, json_stream, results_of
from qcore_plugins.commands.drawings import Drawings
from qcore_plugins.commands.predicting import Work

if TYPE_CHECKING:
    from qcore.plugin import Predictor, Run


STDOUT = "-"
"""As `-o`: the file goes to standard output, and nothing else does."""


def predict(options: argparse.Namespace, output: Output, run: Run) -> int:
    """Run every input; unreadable ones are named and skipped, and make the exit code 6 if nothing was readable."""
    _check(options)
    output = _alone(options, output)
    folder = writable(options.save) if options.save else None
    if options.out:
        sweep(Path(options.out).parent)
    predictor = run.predictor()
    results, suffix = results_of(predictor.contract, run.host)
    _set_batch(predictor, options.batch_size)
    sources = [part for source in options.inputs for part in recordings.parts(predictor.preprocessor, source)]
    _protect(options, sources)
    parts = recordings.first(sources, options.limit)
    work = Work(options, output, run.host, predictor, results, parts)
    with ExitStack() as stack:
        resumed = stack.enter_context(work.keeping())
        if folder:
            drawings = Drawings(folder, results, suffix, parts, options.inputs, options.stride)
            work.drawings = stack.enter_context(drawings)
        work.writer = stack.enter_context(_writer(options, predictor, results, parts)) if options.out else None
        work.document = stack.enter_context(json_stream(output)) if options.json else None
        if resumed:
            work.replay()
        work.run()
    if skipped := work.unread + work.left_out:
        output.warn(f"{skipped:,} of {counted(work.seen, 'input')} skipped")
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
    commandline.require_positive(options, "limit", "stride", "batch_size")
    if options.out == STDOUT and (options.json or str(options.format).startswith("yolo")):
        raise UsageError("-o - writes one file to standard output", hint="leave --json out, or choose a file")
    if options.format and not options.out:
        raise UsageError(f"--format {options.format} requires -o", hint="add -o FILE")
    if options.resume and not (options.out or options.save):
        raise UsageError("--resume requires -o or --save", hint="add -o FILE")
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


def _writer(
    options: argparse.Namespace, predictor: Predictor, results: Results, parts: Sequence[Any]
) -> AbstractContextManager[Any]:
    """What writes the file of `--format`.

    Raises:
        UsageError: There is no such format for this model's results.
    """
    known: Mapping[str, Any] = {
        **(results.writers(predictor.contract.classes) if isinstance(results, Writers) else {}),
        "json": _documents,
    }
    wanted = options.format or "json"
    if wanted not in known:
        raise UsageError(f"there is no format {wanted}", hint=f"--format one of {', '.join(sorted(known))}")
    names = None if any(isinstance(part, Recording) for part in parts) else [str(part) for part in parts]
    writer: AbstractContextManager[Any] = known[wanted](
        Path(options.out), names, Path(options.data) if options.data else None
    )
    return writer if wanted == "json" else _formatted(writer)


class _Documents:
    """The documents that `--json` prints, in a file."""

    def __init__(self, write: Any) -> None:
        self._write = write

    def take(self, document: Any, raw: Any, result: Any) -> None:  # noqa: ARG002
        self._write(document)


class _Formatted:
    """A format of the task: what could be read, by the task's own writer."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def take(self, document: Any, raw: Any, result: Any) -> None:
        if raw is not None:
            self._writer.add(document["input"], raw, result)


@contextmanager
def _documents(path: Path, _: Any, __: Any) -> Iterator[_Documents]:
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; JSON is one file", hint=f"-o {path / 'results.json'}")
    with json_array(path) as write:
        yield _Documents(write)


@contextmanager
def _formatted(writer: AbstractContextManager[Any]) -> Iterator[_Formatted]:
    with writer as opened:
        yield _Formatted(opened)


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
        commandline.add_limit(
            parser, "use at most the first N pictures, and at most the first N frames of each video or camera"
        )
        parser.add_argument(
            "--stride", type=int, default=1, metavar="N", help="every Nth frame of each video or camera (default: 1)"
        )
        commandline.add_strict(parser)
        parser.add_argument(
            "--resume",
            action="store_true",
            help="continue an interrupted run of the same command from the results that it kept beside -o or in --save",
        )
        commandline.add_protocol(parser, "deployed")
        commandline.add_runtime(parser)
        commandline.add_conversion(parser, host)

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Run every input."""
        run = commandline.running(options, output, host)
        return predict(options, output, run.vary(run.recipe.with_protocol(options.protocol)))
