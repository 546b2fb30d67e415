"""One process for one file of a benchmark: it loads the file, then runs a turn whenever it is asked to."""

from __future__ import annotations

import math
import random
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module, metadata
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import qcore
from qcore.plugin import (
    AssumptionWarning,
    BackendSpec,
    Predictor,
    QcoreError,
    UsageError,
    batch_size,
    recipe,
    recognise,
)
from qcore_kit import machine
from qcore_kit.abilities import HasExample, HasFiles
from qcore_kit.timing import laps

CALLS = 3
"""Timed calls of one turn."""
SETTLE = 0.05
"""Seconds of untimed calls at the beginning of a turn: they fill the caches again, and meanwhile the idle threads of
the turn before fall asleep (those of ONNX Runtime spin for 2**20 pauses after a run, about 50 ms)."""
BURST = 500.0
"""Milliseconds that a turn should take where throughput is measured, so that starting and ending threads is small."""
_LEAST = 4


@dataclass(frozen=True)
class Job:
    """What a worker measures.

    Attributes:
        file: A checkpoint or an exported file.
        backend: Runtime; None for the one the file is made for.
        options: Wishes for the backend; those that it has no option for are left out.
        data: What the inputs are read from; None for a made-up one.
        limit: At most this many inputs.
        seed: Of their choice.
        requests: Sessions that run at the same time; None measures the latency of one.
        entry_points: Whether installed plugins are used.
    """

    file: str
    backend: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    limit: int = 16
    seed: int = 0
    requests: int | None = None
    entry_points: bool = True


def serve(connection: Connection, job: Job) -> None:
    """Answer with the facts of the file, then with the times of each turn, and at the end with the memory it took.

    An error is answered in place of any of them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", AssumptionWarning)
            subject = _Subject(job)
        assumed = [str(one.message) for one in told if issubclass(one.category, AssumptionWarning)]
        connection.send({**subject.facts, "assumed": assumed})
        while (number := connection.recv()) is not None:
            connection.send(subject.turn(number))
        connection.send({"peak_bytes": machine.peak_memory()})
    except (EOFError, ConnectionError):
        return  # nobody asks any more
    except QcoreError as error:
        connection.send(error)
    except Exception as error:  # noqa: BLE001 - whatever a runtime raises is told to the process that asked
        failure = QcoreError(f"{job.file}: {type(error).__name__}: {error}")
        failure.add_note(traceback.format_exc())
        connection.send(failure)
    finally:
        connection.close()


class _Subject:
    """A loaded file."""

    def __init__(self, job: Job) -> None:
        plugins = qcore.plugins if job.entry_points else qcore.Host(entry_points=False)
        for requirement in recognise(job.file, plugins)[0].requires:  # importing is no part of the load time
            import_module(requirement.module)
        begin = time.perf_counter()
        run = recipe(job.file).start(host=plugins)
        form = run.model("loaded").form
        seconds = time.perf_counter() - begin
        backend = plugins.get(BackendSpec, job.backend) if job.backend else run.backend
        backend.load()
        known = {option.name for option in backend.options}
        options = {name: value for name, value in job.options.items() if name in known}
        run = run.vary(run.recipe.with_backend(backend, **options))
        begin = time.perf_counter()
        predictor = run.predictor()
        seconds += time.perf_counter() - begin
        more = [run.predictor() for _ in range((job.requests or 1) - 1)]
        inputs = predictor.contract.inputs
        size = batch_size(inputs)
        batches = _batches(predictor, job, size)
        self.turn: Callable[[int], dict[str, list[float]]]
        if job.requests:
            self.turn = _Throughput([predictor, *more], batches, size).turn
        else:
            self.turn = _Latency(predictor, batches, size).turn
        self.facts: dict[str, Any] = {
            "backend": backend.name,
            "versions": _versions(backend),
            "form": str(form),
            "precision": form.precision,
            "executed_precision": predictor.executed_precision,
            "options": options,
            "threads": options.get("threads"),
            "batch": size,
            "shape": list(inputs[0].shape) if len(inputs) == 1 else {one.name: list(one.shape) for one in inputs},
            "bytes": sum(file.stat().st_size for file in _files(job.file, plugins)),
            "load_seconds": seconds,
            "inputs": None if batches is None else sum(map(len, batches)),
        }


class _Latency:
    """One call after another, each stage timed."""

    def __init__(self, predictor: Predictor, batches: list[list[Any]] | None, size: int) -> None:
        run = predictor.session.run
        self._items: list[Any] = [*batches] if batches else [_noise(predictor)]
        self._stages: dict[str, Callable[[Any], Any]] = {"inference": run}
        if batches:
            self._stages = {
                "preprocess": lambda raws: predictor.prepare(raws, size),
                "inference": lambda prepared: (run(prepared[0]), prepared[1]),
                "postprocess": lambda made: predictor.finish(*made),
            }

    def turn(self, number: int) -> dict[str, list[float]]:
        """Milliseconds of `CALLS` calls by stage, and of all stages together; the same inputs at the same number."""
        begin = time.perf_counter()
        while True:
            laps(self._stages, self._items[number * CALLS % len(self._items)])
            if time.perf_counter() - begin > SETTLE:
                break
        taken = [laps(self._stages, self._items[(number * CALLS + call) % len(self._items)]) for call in range(CALLS)]
        times = {name: [one[name] for one in taken] for name in self._stages}
        return times if len(times) == 1 else {**times, "end to end": [sum(one.values()) for one in taken]}


class _Throughput:
    """Several sessions at the same time, each in a thread of its own, on prepared inputs."""

    def __init__(self, predictors: Sequence[Predictor], batches: list[list[Any]] | None, size: int) -> None:
        first = predictors[0]
        inputs = [first.prepare(batch, size)[0] for batch in batches] if batches else [_noise(first)]
        self._pool = ThreadPoolExecutor(len(predictors))
        self._count = _LEAST
        self._runs = [self._runner(predictor, inputs) for predictor in predictors]

    def _runner(self, predictor: Predictor, inputs: Sequence[Any]) -> Callable[[], None]:
        def run() -> None:
            for call in range(self._count):
                predictor.session.run(inputs[call % len(inputs)])

        return run

    def turn(self, number: int) -> dict[str, list[float]]:  # noqa: ARG002 - every turn runs all inputs
        """Milliseconds of one turn over its inferences."""
        taken = laps({"": lambda _: [done.result() for done in [self._pool.submit(run) for run in self._runs]]})[""]
        each = taken / (self._count * len(self._runs))
        self._count = max(self._count, math.ceil(BURST / each / len(self._runs)))
        return {"inference": [each]}


def _batches(predictor: Predictor, job: Job, size: int) -> list[list[Any]] | None:
    """Inputs as they were recorded, in batches; None where there is no data and the preprocessor makes none up."""
    preprocessor = predictor.preprocessor
    if job.data is None:
        return [[preprocessor.example()] * size] if isinstance(preprocessor, HasExample) else None
    items = list(preprocessor.expand(job.data))
    places = sorted(random.Random(job.seed).sample(range(len(items)), min(job.limit, len(items))))  # noqa: S311 - a choice
    raws = [preprocessor.read(items[place]) for place in places]
    return [raws[start : start + size] for start in range(0, len(raws), size)]


def _noise(predictor: Predictor) -> dict[str, Any]:
    """Random input tensors; a free batch is 1.

    Raises:
        UsageError: Another size than the batch is free.
    """
    import numpy

    arrays = {}
    for tensor in predictor.contract.inputs:
        shape = [
            1 if place == tensor.batch and isinstance(size, str) else size for place, size in enumerate(tensor.shape)
        ]
        sizes = [size for size in shape if isinstance(size, int)]
        if len(sizes) < len(shape):
            raise UsageError(
                f"input {tensor.name} {list(tensor.shape)} has a dynamic size, so no input can be made up",
                hint="pass real inputs with --data DIR",
            )
        arrays[tensor.name] = numpy.random.default_rng(0).random(sizes).astype(tensor.dtype)
    return arrays


def _files(file: str, plugins: qcore.Host) -> Sequence[Path]:
    _, format_ = recognise(file, plugins)
    return format_.files(Path(file)) if isinstance(format_, HasFiles) else [Path(file)]


def _versions(backend: BackendSpec) -> dict[str, str]:
    versions = {}
    for requirement in backend.requires:
        try:
            versions[requirement.distribution] = metadata.version(requirement.distribution)
        except metadata.PackageNotFoundError:
            continue
    return versions
