"""Parity: what a written model gives on its runtime, against what the quantized network and the float one give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from qcore.plugin import (
    BackendSpec,
    CheckFailed,
    Contract,
    Host,
    Model,
    Predictor,
    Progress,
    Session,
    Silent,
    UsageError,
    assembled,
    batch_size,
    compiled,
    counted,
    evaluator,
)
from qcore_kit.abilities import Executed, HasAgreement, HasCpu, HasExecuted
from qcore_kit.verification.quantity import Quantity
from qcore_kit.verification.raw_outputs import SUPPRESSED, Seen, quantities, run_seen

PARITY_INPUTS, ROUNDS = 24, 4
"""How many inputs are compared at a time, and how often more are taken where they show too little."""
LOOKED = 8
"""Inputs whose raw outputs are compared."""
DYNAMIC = 2
"""Inputs per batch of a model whose batch is dynamic: with one, a fault in the others would not show."""
REFERENCE, FLOAT = "reference", "float"
Explain = Callable[[CheckFailed, Predictor], CheckFailed]
SHOW_MORE = "pass inputs in which the model finds something: more with --calib, or labelled ones with --data"


@dataclass(frozen=True)
class Parity:
    """What a comparison came to that did not fail.

    Attributes:
        backend: Where the model ran.
        inputs: How many inputs were compared.
        summary: One line: how far the results agree.
        figures: The evaluator's, against the fake-quantized reference, or against float where there is none.
        against_float: The evaluator's, against the float model; None where it did not run.
        tensors: Quantity of the raw outputs -> cosine, correlation by rank, largest error as a part of the span of the
            values, and so on; against the float model, or the reference where that did not run.
        unproved: Why this proves nothing; empty where it proves that the file does what the network does.
        hint: What would prove it.
        executed: What the compiled model computes in integers; None where the runtime does not tell.
        cpu: Kind of CPU that it ran as, as in `machine.kind`; None where the runtime does not tell.
    """

    backend: str
    inputs: int
    summary: str
    figures: Mapping[str, Any]
    against_float: Mapping[str, Any] | None = None
    tensors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    unproved: str = ""
    hint: str = ""
    executed: Executed | None = None
    cpu: str | None = None

    def document(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        executed = self.executed.document() if self.executed else None
        return {
            "inputs": self.inputs,
            "backend": self.backend,
            "cpu": self.cpu,
            **self.figures,
            "proved": not self.unproved,
            "unproved": self.unproved,
            "summary": self.summary,
            "float": None if self.against_float is None else dict(self.against_float),
            "tensors": {name: dict(each) for name, each in self.tensors.items()},
            **({"executed": executed} if executed else {}),
        }


def prove(
    model: Model,
    backend: BackendSpec,
    inputs: Sequence[Any],
    *,
    plugins: Host,
    original: Predictor | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    explain: Explain | None = None,
    read: Callable[[Any], Any] | None = None,
) -> Parity | None:
    """Run inputs through a quantized model on its runtime, through its reference, and through the float model.

    Results are compared by the evaluator, below the deployed confidence too where it asks for that; raw outputs by
    their correlation. More inputs than `PARITY_INPUTS` are taken where those show too little.

    Args:
        model: As it is written.
        backend: What runs it.
        inputs: What the preprocessor reads.
        plugins: Where components come from.
        original: The float model.
        options: Of the backend.
        progress: Shown over the inputs.
        explain: Says more of a failure, of the predictor of the model.
        read: Reads an input, where the preprocessor need not read it again.

    Returns:
        What it came to; None where there is nothing to hold the model against.

    Raises:
        CheckFailed: They disagree.
    """
    judge = evaluator(model.contract.task, plugins).create()
    session = compiled(backend, model, options)
    others: dict[str, tuple[Contract, Session]] = {}
    if model.reference is not None:
        others[REFERENCE] = model.contract, model.reference()
    if original is not None:
        others[FLOAT] = original.contract, original.session
    if not others or not len(inputs) or not isinstance(judge, HasAgreement):
        return None

    def predictor(contract: Contract, running: Session, name: str) -> Predictor:
        return _faint(contract, running, name, plugins, getattr(judge, "faint", {}))

    comparison = _Comparison(
        judge,
        predictor(model.contract, session, backend.name),
        {name: predictor(*each, name) for name, each in others.items()},
        model.contract,
        read,
    )
    verdicts = comparison.run(inputs, (progress or Silent()), backend.name)
    try:
        _require(verdicts, comparison.tensors, backend.name)
    except CheckFailed as error:
        raise (explain(error, comparison.candidate) if explain else error) from None
    done = _told(backend.name, comparison, verdicts, session.executed if isinstance(session, HasExecuted) else None)
    return replace(done, cpu=session.cpu if isinstance(session, HasCpu) else None)


def _faint(contract: Contract, session: Session, name: str, plugins: Host, faint: Mapping[str, Any]) -> Predictor:
    """Gives faint results too, unless what is written has gone beyond that."""
    try:
        return assembled(contract, session, name, plugins=plugins, overrides={"postprocess": faint})
    except UsageError:
        return assembled(contract, session, name, plugins=plugins)


@dataclass
class _Comparison:
    """Runs a candidate beside the others, and collects what they give.

    Attributes:
        read: Reads an input; the candidate's preprocessor where it is None.
        pairs: Name of the other -> its results beside the candidate's.
        tensors: Name of the other -> quantity of the raw outputs -> what differs.
    """

    judge: Any
    candidate: Predictor
    others: Mapping[str, Predictor]
    contract: Contract
    read: Callable[[Any], Any] | None = None
    pairs: dict[str, list[tuple[Any, Any]]] = field(default_factory=dict)
    tensors: dict[str, dict[str, Quantity]] = field(default_factory=dict)
    inputs: int = 0

    def run(self, inputs: Sequence[Any], progress: Progress, backend: str) -> dict[str, dict[str, Any]]:
        """The evaluator's figures by name of the other, after as many inputs as it takes."""
        remaining = iter(inputs)
        verdicts: dict[str, dict[str, Any]] = {}
        for _ in range(ROUNDS):
            chosen = list(islice(remaining, PARITY_INPUTS))
            if not chosen:
                break
            for raws in _batches(progress.track(chosen, f"parity on {backend}", len(chosen)), self._size):
                self._add(list(map(self.read or self.candidate.preprocessor.read, raws)))
            verdicts = {
                name: self.judge.agreement(pairs, contract=self.contract, against=name)
                for name, pairs in self.pairs.items()
            }
            if any(not each["agree"] for each in verdicts.values()) or _enough(verdicts):
                break
        return verdicts

    @property
    def _size(self) -> int:
        return max(batch_size(each.contract.inputs, DYNAMIC) for each in (self.candidate, *self.others.values()))

    def _add(self, raws: list[Any]) -> None:
        own = list(run_seen(self.candidate, raws, DYNAMIC))
        for name, other in self.others.items():
            for one, candidate in zip(run_seen(other, raws), own, strict=True):
                pairs = self.pairs.setdefault(name, [])
                if len(pairs) < LOOKED:
                    self._lay_beside(name, other, one, candidate)
                pairs.append((one.result, candidate.result))
        self.inputs += len(raws)

    def _lay_beside(self, name: str, other: Predictor, one: Seen, candidate: Seen) -> None:
        """Raw outputs; not of lists in order of confidence, which rounding changes."""
        if any(output.stage == SUPPRESSED for output in self.contract.outputs):
            return
        theirs, ours = quantities(other, one), quantities(self.candidate, candidate)
        sums = self.tensors.setdefault(name, {})
        for quantity, (value, place) in theirs.items():
            if quantity in ours and ours[quantity][0].shape == value.shape:
                sums.setdefault(quantity, Quantity()).add(value, ours[quantity][0], place)


def _batches(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while batch := list(islice(items, size)):
        yield batch


def _enough(verdicts: Mapping[str, Mapping[str, Any]]) -> bool:
    return bool(verdicts) and all(each.get("enough", True) for each in verdicts.values())


def _require(
    verdicts: Mapping[str, Mapping[str, Any]], tensors: Mapping[str, Mapping[str, Quantity]], backend: str
) -> None:
    """Refuse what differs.

    Raises:
        CheckFailed: Results or raw outputs do.
    """
    told: dict[str, Callable[[str], str]] = {
        REFERENCE: lambda what: (
            f"parity check failed on {backend}: the results differ from the fake-quantized reference: {what}"
        ),
        FLOAT: lambda what: f"parity check failed on {backend}: the results differ from the float model: {what}",
    }
    hints = {
        REFERENCE: "no file was written; keep the differing layers in float with --exclude, or use a different backend",
        FLOAT: "no file was written; calibrate on inputs like those of the scene, keep the layers in float that "
        "qcore sensitivity names (--exclude), or use a different quantizer",
    }
    for name in verdicts:
        faults = [line for quantity, each in tensors.get(name, {}).items() for line in each.broken(quantity)]
        if not verdicts[name]["agree"]:
            faults = [*verdicts[name].get("faults", ()), verdicts[name]["summary"]]
        if faults:
            raise CheckFailed(told[name]("; ".join(faults)), hint=hints[name])


def _told(
    backend: str,
    comparison: _Comparison,
    verdicts: Mapping[str, Mapping[str, Any]],
    executed: Callable[[], Executed | None] | None,
) -> Parity:
    first = verdicts.get(REFERENCE) or verdicts[FLOAT]
    against = verdicts.get(FLOAT)
    unproved = ""
    if not _enough(verdicts):
        least = next(each for each in verdicts.values() if not each.get("enough", True))
        shows = "shows" if comparison.inputs == 1 else "show"
        unproved = f"{counted(comparison.inputs, 'input')} {shows} too little to judge by: {least['summary']}"
    figures = {key: value for key, value in first.items() if key not in ("enough", "faults", "summary")}
    quantities = comparison.tensors.get(FLOAT) or comparison.tensors.get(REFERENCE) or {}
    return Parity(
        backend,
        comparison.inputs,
        str(first["summary"]),
        figures,
        against,
        {name: each.figures() for name, each in quantities.items()},
        unproved,
        SHOW_MORE if unproved else "",
        executed() if executed else None,
    )


def elsewhere(parity: Parity, runtime: str, why: str) -> Parity:
    """The same, which is no proof for the runtime that the file is for.

    Args:
        parity: Of another backend.
        runtime: That the file is for.
        why: It did not run there.
    """
    unproved = f"the graph was checked with {parity.backend}; the file itself has not been run on {runtime}: {why}"
    hint = f"on a machine that runs {runtime}: qcore compare FLOAT FILE --data DIR"
    return replace(parity, unproved=unproved, hint=hint, executed=None)
