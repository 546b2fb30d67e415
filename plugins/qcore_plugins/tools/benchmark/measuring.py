"""Files side by side: latency or throughput of each, and how many times as fast as the first.

Every file runs in a process of its own, so that runtimes do not share threads and memory is each one's own; the
processes take turns in random order, and a process that has not the turn waits. All of it is done in several launches.
"""

from __future__ import annotations

import multiprocessing
import statistics
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from qcore.plugin import AssumptionWarning, QcoreError, UsageError, counted, require
from qcore_kit import machine
from qcore_kit.timing import Ratio, Spread, turns
from qcore_plugins.tools.benchmark.worker import Job, serve

ROUNDS, LAUNCHES, WARMUP = 30, 5, 1
Turn = Mapping[str, Sequence[float]]
"""Milliseconds of the calls of one turn, by stage."""


@dataclass(frozen=True)
class Measured:
    """One file.

    Attributes:
        file: As it was given.
        facts: What its process told: backend, executed precision, sizes, load time, memory.
        stages: Milliseconds of one call by stage.
        ratios: How many times as fast as the first file, by stage and for one input; none for the first itself.
    """

    file: str
    facts: Mapping[str, Any]
    stages: Mapping[str, Spread]
    ratios: Mapping[str, Ratio]

    @property
    def per_second(self) -> float:
        """Inputs in one second of inference."""
        return 1000 * int(self.facts["batch"]) / self.stages["inference"].median

    @property
    def lowered(self) -> str:
        """The narrower type that the runtime chose by itself for a float32 file; empty where it did not."""
        words = str(self.facts["executed_precision"]).replace("(", " ").replace(")", " ").split()
        narrow = [word for word in words if word in ("bf16", "f16")]
        return narrow[0] if narrow and self.facts["precision"] == "f32" else ""


@dataclass(frozen=True)
class Report:
    """What was measured, on which machine and how."""

    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    files: Sequence[Measured]

    def document(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        rows = []
        for one in self.files:
            ratios = {
                stage: {**asdict(ratio), "verdict": ratio.verdict, "noise": ratio.noise}
                for stage, ratio in one.ratios.items()
            }
            stages = {stage: asdict(spread) for stage, spread in one.stages.items()}
            rows.append({"file": one.file, **one.facts, "per_second": one.per_second, "ms": stages, "speed": ratios})
        return {"machine": self.machine, **self.settings, "files": rows}


def benchmark(
    files: Sequence[str],
    *,
    backends: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    data: str | None = None,
    limit: int = 16,
    requests: int | None = None,
    rounds: int = ROUNDS,
    launches: int = LAUNCHES,
    seed: int = 0,
    entry_points: bool = True,
    track: Callable[[range], Iterable[int]] = iter,
) -> Report:
    """Measure files in turns.

    Args:
        files: Checkpoints or exported files; the others are compared with the first.
        backends: None (each file's own), one for all, or one for each file.
        options: Wishes for backends, e.g. `threads`; a backend without such an option does as it does.
        data: What real inputs are read from; without it, one made-up input.
        limit: At most this many inputs.
        requests: Measure the throughput of that many sessions at once; None for the latency of one.
        rounds: Turns of each file that count, over all launches.
        launches: How often the processes are started anew; each launch begins with `WARMUP` rounds more.
        seed: Of the order of the turns, the choice of inputs and the bootstrap.
        entry_points: Whether installed plugins are used.
        track: Shows how far the rounds are.

    Raises:
        UsageError: Numbers of files and backends that do not go together, or fewer than 2 rounds.
        QcoreError: What a file's own process reports, as in `Run.predictor`.
    """
    if len(backends) not in (0, 1, len(files)):
        raise UsageError(
            f"{len(backends)} backends for {len(files)} files", hint="give one --backend for all, or one for each file"
        )
    if rounds < 2 or not 1 <= launches <= rounds:
        raise UsageError(
            f"{counted(rounds, 'round')} in {counted(launches, 'launch')}: at least 2 rounds are required, "
            "and one per launch",
            hint=f"--rounds {ROUNDS} --launches {LAUNCHES}",
        )
    for file in files:
        require(file)
    own: Sequence[str | None] = backends or [None]
    chosen = [*own] * len(files) if len(own) == 1 else own
    settings = {
        "mode": "throughput" if requests else "latency",
        "requests": requests,
        "rounds": rounds,
        "launches": launches,
        "seed": seed,
        "data": data,
    }
    host = {**machine.cpu(), "gpus": machine.gpus(), "load_before": machine.load()}
    jobs = [
        Job(file, backend, options or {}, data, limit, seed, requests, entry_points)
        for file, backend in zip(files, chosen, strict=True)
    ]
    shares = [rounds // launches + (place < rounds % launches) for place in range(launches)]
    done = [_launch(jobs, share, seed + place, track) for place, share in enumerate(shares)]
    host["load_after"] = machine.load()
    return Report(host, settings, _compared(files, done, seed))


@dataclass(frozen=True)
class _Taken:
    """What one launch told of one file."""

    facts: Mapping[str, Any]
    turns: Sequence[Turn]

    def rounds(self, stage: str) -> list[float]:
        """Milliseconds of one input, one figure a round."""
        return [statistics.median(turn[stage]) / self.facts["batch"] for turn in self.turns]


def _launch(jobs: Sequence[Job], rounds: int, seed: int, track: Callable[[range], Iterable[int]]) -> list[_Taken]:
    """Start a process for each job, let them take turns, and end them."""
    with ExitStack() as stack:
        workers = {str(place): stack.enter_context(_worker(job)) for place, job in enumerate(jobs)}
        runs = {name: partial(_next, worker, iter(range(WARMUP + rounds))) for name, worker in workers.items()}
        taken = turns(runs, rounds=WARMUP + rounds, seed=seed, track=track)
        return [_Taken({**worker.facts, **worker.ask(None)}, taken[name][WARMUP:]) for name, worker in workers.items()]


def _next(worker: _Worker, numbers: Iterator[int]) -> Turn:
    turn: Turn = worker.ask(next(numbers))
    return turn


def _compared(files: Sequence[str], launches: Sequence[Sequence[_Taken]], seed: int) -> list[Measured]:
    compared = []
    firsts = [launch[0] for launch in launches]
    for place, file in enumerate(files):
        own = [launch[place] for launch in launches]
        stages = [*own[0].turns[0]]
        spreads = {
            stage: Spread.of([ms for one in own for turn in one.turns for ms in turn[stage]]) for stage in stages
        }
        shared = [stage for stage in stages if stage in firsts[0].turns[0]] if place else []
        ratios = {
            stage: Ratio.of([one.rounds(stage) for one in firsts], [one.rounds(stage) for one in own], seed=seed)
            for stage in shared
        }
        facts = {
            **own[0].facts,
            "load_seconds": statistics.median(one.facts["load_seconds"] for one in own),
            "peak_bytes": max((one.facts["peak_bytes"] for one in own if one.facts["peak_bytes"]), default=None),
        }
        compared.append(Measured(file, facts, spreads, ratios))
    return compared


class _Worker:
    """The other end of `worker.serve`."""

    def __init__(self, process: Any, connection: Connection, file: str) -> None:
        self._process, self._connection, self._file = process, connection, file
        self.facts: dict[str, Any] = self._answer()
        for text in self.facts.pop("assumed"):
            warnings.warn(text, AssumptionWarning, stacklevel=2)

    def ask(self, number: int | None) -> Any:
        """The times of a turn; what the whole process took, at None."""
        self._connection.send(number)
        return self._answer()

    def _answer(self) -> Any:
        try:
            answer = self._connection.recv()
        except (EOFError, ConnectionError):
            self._process.join(10)
            raise QcoreError(
                f"{self._file}: the measuring process exited with code {self._process.exitcode}",
                hint="a negative code is a signal number; -9 usually means out of memory",
            ) from None
        if isinstance(answer, QcoreError):
            raise answer
        return answer


@contextmanager
def _worker(job: Job) -> Iterator[_Worker]:
    """A process that has loaded the file."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, job), daemon=True)
    process.start()
    theirs.close()
    try:
        yield _Worker(process, ours, job.file)
    finally:
        ours.close()
        process.terminate()
        process.join()
        process.close()
