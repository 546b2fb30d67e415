"""The ladder: six steps, each with figures, a threshold and a verdict; the first that fails is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from qcore.plugin import (
    Arrays,
    Contract,
    FileError,
    Host,
    Progress,
    Run,
    Silent,
    Skipping,
    UsageError,
    batch_size,
    evaluator,
)
from qcore_kit import machine
from qcore_kit.abilities import HasComparison
from qcore_kit.comparison import saturation
from qcore_kit.comparison.protocols import Comparison
from qcore_kit.comparison.rung import Cause, Rung
from qcore_kit.verification.raw_outputs import SUPPRESSED
from qcore_plugins.tools.compare import contracts, inside, preprocessing
from qcore_plugins.tools.compare.inside import FIRST, takes
from qcore_plugins.tools.compare.noise import ACCUMULATED, BEHIND, OTHERWISE, beyond_layers
from qcore_plugins.tools.compare.preprocessing import UNKNOWN
from qcore_plugins.tools.compare.side import Side
from qcore_plugins.tools.compare.tensors import Tensors

STEPS = ("contract", "preprocessing", "raw tensors", "inside the graph")
"""Names of the steps for every task; the evaluator's comparison of results adds its own."""
LOOKED = 8
"""Inputs whose raw tensors are compared; half of them inside the graph."""
MAX_DROP = 0.01
VAGUE = (BEHIND, FIRST, ACCUMULATED, OTHERWISE)
"""Causes that say where numbers differ, not why."""
RESULTS = "results"
"""Name of the step that is not asked where no evaluator compares results."""
OWN = "OWN CODE"
"""What a person's own preprocessing is called."""


@dataclass(frozen=True)
class Compared:
    """What the ladder found.

    Attributes:
        rungs: Every step.
        reference: As built; None where only preprocessing was asked for.
        candidate: Likewise.
        inputs: How many were run.
        skipped: Inputs that could not be read.
        protocol: That both ran under; None for their contracts' own parameters.
    """

    rungs: Sequence[Rung]
    reference: Side | None
    candidate: Side | None
    inputs: int
    skipped: Sequence[str]
    protocol: str | None

    @property
    def failed(self) -> Rung | None:
        """The first step that fails."""
        return next((rung for rung in self.rungs if rung.verdict == "fail"), None)

    @property
    def cause(self) -> Cause | None:
        """The likeliest: of the first step that fails, or of a later one where that step does not know."""
        return next((cause for rung in self.rungs if rung.verdict == "fail" for cause in rung.causes), None)


@dataclass(frozen=True)
class Begun:
    """Both models compiled, and the inputs that they are compared on.

    Attributes:
        one: The reference.
        other: The candidate.
        task: What collects the results of both; None where nothing compares those.
        items: The inputs.
        protocol: That both run under.
    """

    one: Side
    other: Side
    task: Comparison | None
    items: Sequence[Any]
    protocol: str | None


def begin(
    reference: tuple[str, Run],
    candidate: tuple[str, Run],
    data: Any,
    *,
    protocol: str | None = None,
    limit: int | None = None,
    accept: Sequence[str] = (),
    max_drop: float = MAX_DROP,
    cpu: str = machine.THIS,
    **labels: Any,
) -> Begun:
    """Load and compile both; arguments and errors as of `compare`."""
    both, host = (reference, candidate), reference[1].host
    contracts_ = [run.contract() for _, run in both]
    task = _results(contracts_, host, data, labels, max_drop)
    steps = (*STEPS, *(task.steps if task else (RESULTS,)))
    if unknown := [name for name in accept if name not in steps]:
        raise UsageError(f"no step is called {unknown[0]!r}", hint=f"there are: {', '.join(steps)}")
    if task is not None and task.labelled and protocol is None:
        protocol = _shared_protocol(contracts_)
    one, other = (Side.build(name, run.vary(run.recipe.with_protocol(protocol)), cpu) for name, run in both)
    if cpu != machine.THIS and not any("cpu" in side.run.backend_options for side in (one, other)):
        names = " and ".join(dict.fromkeys(side.predictor.backend for side in (one, other)))
        raise saturation.cannot_run_as(cpu, names, host)
    items: Sequence[Any] = task.items if task and task.labelled else one.predictor.preprocessor.expand(data)
    return Begun(one, other, task, items if limit is None else list(islice(items, limit)), protocol)


def compare(
    reference: tuple[str, Run],
    candidate: tuple[str, Run],
    data: Any,
    *,
    protocol: str | None = None,
    limit: int | None = None,
    accept: Sequence[str] = (),
    max_drop: float = MAX_DROP,
    foreign: Callable[[Any, Any], Any] | None = None,
    cpu: str = machine.THIS,
    progress: Progress | None = None,
    **labels: Any,
) -> Compared:
    """Climb the ladder, all of it: later steps tell how much an earlier difference matters.

    Args:
        reference: Name and run of the model that is right.
        candidate: Of the one in question.
        data: Inputs: what the preprocessor expands, or labelled data that the evaluator reads.
        protocol: Of the contracts, to run under; the first one where there are labels, else none.
        limit: At most this many inputs.
        accept: Steps whose failure is wanted; they are noted.
        max_drop: How much lower the main figure on labelled data may be where that is beyond the noise.
        foreign: Own preprocessing to compare with the reference's instead of the candidate's:
            (item, item as read) -> tensor.
        cpu: Kind of CPU to compute as, one of `machine.CPUS`; for the models whose backends can.
        progress: Shown over the inputs.
        **labels: Options of the evaluator of the task, e.g. `images` and `classes`.

    Raises:
        UsageError: A step to accept that is none, inputs that cannot be laid side by side, or no backend that computes
            as another CPU.
        FileError: No input can be read.
    """
    settings: dict[str, Any] = {**labels, "protocol": protocol, "limit": limit}
    begun = begin(reference, candidate, data, **settings, accept=accept, max_drop=max_drop, cpu=cpu)
    return climb(begun, accept=accept, foreign=foreign, progress=progress)


def climb(
    begun: Begun,
    *,
    accept: Sequence[str] = (),
    foreign: Callable[[Any, Any], Any] | None = None,
    progress: Progress | None = None,
    known: Mapping[int, tuple[Any, Any]] | None = None,
) -> Compared:
    """The ladder of two models that are compiled.

    Args:
        begun: Both, and the inputs.
        accept: As of `compare`, as `foreign` and `progress` are.
        foreign: Likewise.
        progress: Likewise.
        known: Place -> results of both models, for inputs that need not be run but for a look at their tensors.

    Raises:
        FileError: No input can be read.
    """
    shown = progress or Silent()
    one, other, items = begun.one, begun.other, begun.items
    skipped: list[str] = []
    pictures = _Inputs(one, other, items, skipped, shown)
    first = list(pictures.first(LOOKED))
    own = one.run.preprocessor(one.contract)
    theirs = foreign or _preprocess(other)
    rungs = [
        contracts.rung(one, other),
        preprocessing.rung(own, theirs, first, OWN if foreign else "CANDIDATE"),
    ]
    if not foreign:
        rungs[1] = _known(rungs[1], contracts.preprocessing(one, other))
    rungs += _run(begun, pictures, known or {}, shown)
    done = [_accepted(rung) if rung.name in accept and rung.verdict == "fail" else rung for rung in rungs]
    return Compared(done, one, other, len(items) - len(skipped), skipped, begun.protocol)


def preprocessing_only(
    reference: tuple[str, Run], data: Any, foreign: Callable[[Any, Any], Any], *, limit: int | None = None
) -> Compared:
    """The second step alone: a model's preprocessing against a person's own; errors as in `compare`."""
    side = Side.build(*reference)
    items: Sequence[Any] = side.predictor.preprocessor.expand(data)
    if limit is not None:
        items = list(islice(items, limit))
    first = list(_Inputs(side, side, items, [], Silent()).first(LOOKED))
    rung = preprocessing.rung(side.predictor.preprocessor, foreign, first, OWN)
    return Compared([rung], side, None, len(first), [], None)


def _results(
    both: Sequence[Contract], plugins: Host, data: Any, labels: Mapping[str, Any], max_drop: float
) -> Comparison | None:
    """What collects the results of both; None where the tasks differ or the task's evaluator compares none."""
    if both[0].task != both[1].task:
        return None
    spec = evaluator(both[0].task, plugins)
    judge = spec.create()
    if not isinstance(judge, HasComparison):
        return None
    comparison: Comparison = judge.comparison(both[0], both[1], data, max_drop=max_drop, **spec.settings(labels))
    return comparison


def _shared_protocol(both: Sequence[Any]) -> str | None:
    """The first protocol of both, unless a graph has gone beyond its thresholds."""
    if any(output.stage == SUPPRESSED for each in both for output in each.outputs):
        return None
    return next((name for name in both[0].protocols if name in both[1].protocols), None)


def _preprocess(side: Side) -> Callable[[Any, Any], Any]:
    preprocessor = side.run.preprocessor(side.contract)
    return lambda item, raw: preprocessor.prepare(raw).arrays  # noqa: ARG005 - the same call as of a person's own code


def _explained(tensors: Rung, within: Rung, sources: Sequence[Cause]) -> Rung:
    """Raw tensors that nothing explains differ behind the layers where no layer does; from the first on, by weights."""
    if tensors.verdict != "fail" or tensors.causes:
        return tensors
    if within.verdict != "pass":
        layers = list(within.figures.get("ratio_db", ()))
        first = bool(layers) and within.figures["first_below"] == layers[0]
        return replace(tensors, causes=sources) if first else tensors
    return replace(tensors, causes=[beyond_layers(tensors, within)])


def _known(pixels: Rung, cause: Cause | None) -> Rung:
    """Inputs whose values differ for no cause that is known differ by what the contracts say."""
    if cause is None or pixels.verdict != "fail" or not {each.name for each in pixels.causes} <= UNKNOWN:
        return pixels
    return replace(pixels, summary=cause.name, causes=[cause])


def _accepted(rung: Rung) -> Rung:
    return replace(rung, verdict="note", summary=f"{rung.summary} (accepted)")


@dataclass(frozen=True)
class _Inputs:
    """Reads inputs, a batch of both models at a time."""

    one: Side
    other: Side
    items: Sequence[Any]
    skipped: list[str]
    progress: Progress

    def first(self, count: int) -> Iterator[tuple[Any, Any]]:
        """Pairs (item, as it was read) of the first readable inputs.

        Raises:
            FileError: None is.
        """
        count_read = 0
        for item in self.items:
            try:
                yield item, self.one.predictor.preprocessor.read(item)
            except FileError as error:
                last = error
                continue
            count_read += 1
            if count_read == count:
                return
        if not count_read:
            raise FileError(f"none of the {len(self.items)} inputs can be read: {last.message}", hint=last.hint)

    def batches(self, size: int) -> Iterator[list[tuple[int, Any, Any]]]:
        """Lists of (place, item, as it was read); unreadable ones are named and left out."""
        batch: list[tuple[int, Any, Any]] = []
        skipping = Skipping(self.progress)
        for place, item in self.progress.track(enumerate(self.items), "comparing", len(self.items)):
            try:
                batch.append((place, item, self.one.predictor.preprocessor.read(item)))
            except FileError as error:
                self.skipped.append(str(item))
                skipping.say(error.message)
            if len(batch) == size:
                yield batch
                batch = []
        skipping.end()
        if batch:
            yield batch


def results(begun: Begun, places: Sequence[int], progress: Progress) -> Iterator[tuple[int, Any, Any]]:
    """(place, result of the reference, result of the candidate) of the inputs at those places that can be read."""
    size = max(batch_size(side.contract.inputs) for side in (begun.one, begun.other))
    chosen = _Inputs(begun.one, begun.other, [begun.items[place] for place in places], [], progress)
    for batch in chosen.batches(size):
        raws = [raw for _, _, raw in batch]
        for (number, _, _), left, right in zip(batch, begun.one.seen(raws), begun.other.seen(raws), strict=True):
            yield places[number], left.result, right.result


def _run(begun: Begun, inputs: _Inputs, known: Mapping[int, tuple[Any, Any]], progress: Progress) -> list[Rung]:
    """The steps that need results; `known` as in `climb`."""
    one, other, task = begun.one, begun.other, begun.task
    size = max(batch_size(side.contract.inputs) for side in (one, other))
    raw_tensors = Tensors(one, other)
    kept: list[Any] = []
    looked = 0
    for batch in inputs.batches(size):
        if looked >= LOOKED and task is not None and all(place in known for place, _, _ in batch):
            for place, item, raw in batch:
                task.add(place, item, raw, *known[place])
            continue
        raws = [raw for _, _, raw in batch]
        for (place, item, raw), left, right in zip(batch, one.seen(raws), other.seen(raws), strict=True):
            if looked < LOOKED:
                looked += 1
                raw_tensors.add(item, raw, left, right)
                kept += [left.inputs] if len(kept) < LOOKED // 2 else []
            if task is not None:
                task.add(place, item, raw, left.result, right.result)
    with progress.step("looking inside the graphs"):
        within = inside.rung(one, other, kept)
    sources = [each.cause for each in contracts.provenance(one.contract, other.contract)]
    rungs = [_explained(raw_tensors.rung(), within, sources), within]
    if task is None:
        told = f"no evaluator compares results of {len(begun.items)} inputs of these tasks"
        rungs.append(Rung(RESULTS, "none", told))
    else:
        with progress.step("comparing results"):
            rungs += task.rungs()
    return _saturated(rungs, other, kept)


def _saturated(rungs: list[Rung], candidate: Side, tensors: Sequence[Arrays]) -> list[Rung]:
    """The steps with what saturation explains of those that fail, before causes that only say where numbers differ.

    Where none fails, layers whose sums are wrong are still noted: other inputs may show them.
    """
    if not tensors:
        return rungs
    ratios = saturation.lossy(
        candidate.model,
        candidate.predictor.session,
        candidate.predictor.backend,
        [candidate.fed(tensor) for tensor in tensors if takes(candidate, tensor)],
        plugins=candidate.run.host,
    )
    cause = saturation.cause(ratios, "CANDIDATE")
    if cause is None:
        return rungs
    first = min(ratios.values()) < saturation.WRONG

    def told(rung: Rung) -> Rung:
        causes = [each for each in rung.causes if not each.name.startswith(VAGUE)]
        return replace(rung, causes=[cause, *causes] if first else [*causes, cause])

    if any(rung.verdict == "fail" for rung in rungs):
        return [told(rung) if rung.verdict == "fail" else rung for rung in rungs]
    tensors_, within, *results = rungs
    if first and within.verdict == "pass":
        within = replace(within, verdict="note", summary=f"{cause.name}; {within.summary}", causes=(cause,))
    return [tensors_, within, *results]
