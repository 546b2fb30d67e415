"""The first step: what two contracts agree on, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

from qcore.plugin import Contract, Step, Tensor, counted
from qcore_kit.classes.numbered import numbered
from qcore_kit.comparison.rung import Cause, Rung
from qcore_kit.reports import Table
from qcore_kit.verification.raw_outputs import SUPPRESSED
from qcore_plugins.tools.compare.side import Side

NAMED = 4
"""Differences that the line of the step names."""


@dataclass(frozen=True)
class Difference:
    """A line of the table; `matters` where results or the way of calling change."""

    what: str
    reference: str
    candidate: str
    cause: Cause
    matters: bool = True


def rung(reference: Side, candidate: Side) -> Rung:
    """Contract against contract."""
    differences_ = list(differences(reference, candidate))
    serious = [each for each in differences_ if each.matters]
    listed = ", ".join([each.what for each in serious[:NAMED]] + ["..."] * (len(serious) > NAMED))
    summary = f"different: {listed}" if serious else "the same inputs, outputs and processing"
    rows = [(each.what, each.reference, each.candidate) for each in differences_]
    verdicts = ["fail" if each.matters else "note" for each in differences_]
    chosen = serious or differences_
    return Rung(
        "contract",
        "fail" if serious else "note" if differences_ else "pass",
        summary if serious or not differences_ else f"{summary}; {len(differences_)} to know of",
        tuple({each.cause.name: each.cause for each in reversed(chosen)}.values())[::-1],
        "inputs, preprocessing, outputs, postprocessing and classes are equal",
        {
            "differences": [
                {"what": each.what, "reference": each.reference, "candidate": each.candidate, "matters": each.matters}
                for each in differences_
            ]
        },
        [Table(("what", "REF", "CANDIDATE"), rows, verdicts=verdicts)] if rows else [],  # type: ignore[arg-type]
    )


def differences(reference: Side, candidate: Side) -> Iterator[Difference]:
    """What differs, the cause of most trouble first."""
    one, other = reference.contract, candidate.contract
    if one.task != other.task:
        yield Difference("task", one.task, other.task, Cause("another task", f"{one.task} against {other.task}"))
    yield from _classes(one, other)
    yield from _inputs(one, other)
    yield from _outputs(one, other)
    yield from _preprocessing(reference, candidate)
    both = _parameters(reference, candidate, "postprocess")
    yield from _step("postprocessing", one.postprocess, other.postprocess, both)
    for side in (reference, candidate):
        yield from _calibration(side, side is candidate)
    yield from provenance(one, other)


def _inputs(one: Contract, other: Contract) -> Iterator[Difference]:
    if len(one.inputs) != len(other.inputs):
        counts = str(len(one.inputs)), str(len(other.inputs))
        yield Difference(
            "inputs", counts[0], counts[1], Cause("other inputs", f"{counts[0]} against {counts[1]} inputs")
        )
    for left, right in zip(one.inputs, other.inputs, strict=False):
        yield from _batch(left, right)
        for what in ("dtype", "layout"):
            had, has = getattr(left, what), getattr(right, what)
            if had != has and None not in (had, has):
                text = f"input {right.name}: {what} {has} instead of {had}"
                yield Difference(f"input {what}", str(had), str(has), Cause("other inputs", text))
        if left.shape[1:] != right.shape[1:]:
            text = f"CANDIDATE takes {list(right.shape)}, REF {list(left.shape)}"
            hint = "export both at one size with --imgsz"
            cause = Cause("another input shape", text, hint)
            yield Difference("input shape", str(list(left.shape)), str(list(right.shape)), cause)


def _batch(left: Tensor, right: Tensor) -> Iterator[Difference]:
    had, has = left.shape[0], right.shape[0]
    if had == has:
        return
    fixed = has if isinstance(has, int) else had
    text = f"CANDIDATE takes {has} at a time, REF {had}"
    cause = Cause(f"batch {fixed} baked in", text, "export both with the same --batch, or with --batch dynamic")
    free = not isinstance(has, int)
    if free:
        cause = Cause("free batch", f"CANDIDATE takes any number of inputs, REF {had}")
    yield Difference("batch", str(had), str(has), cause, matters=not free)


def _outputs(one: Contract, other: Contract) -> Iterator[Difference]:
    inside = [any(output.stage == SUPPRESSED for output in each.outputs) for each in (one, other)]
    if inside[0] != inside[1]:
        words = ["inside the graph" if each else "behind it" for each in inside]
        which = "REF" if inside[0] else "CANDIDATE"
        text = f"only {which} suppresses inside its graph, so the outputs are other tensors"
        yield Difference("NMS", words[0], words[1], Cause("NMS in one only", text, "export both with the same --head"))
        return
    if len(one.outputs) != len(other.outputs):
        names = [", ".join(output.name for output in each.outputs) for each in (one, other)]
        text = f"{counted(len(other.outputs), 'output')} instead of {len(one.outputs)}"
        yield Difference(
            "outputs", names[0], names[1], Cause("other outputs", text, "export both with the same --head")
        )
        return
    for left, right in zip(one.outputs, other.outputs, strict=True):
        told = [(output.name, output.dtype, output.meaning, output.stage) for output in (left, right)]
        for what, had, has in zip(("name", "dtype", "meaning", "stage"), *told, strict=True):
            if had != has:
                text = f"output {right.name}: {what} {has} instead of {had}"
                yield Difference(f"output {what}", str(had), str(has), Cause("other outputs", text))
        shapes = [list(output.shape[1:]) for output in (left, right)]
        if shapes[0] != shapes[1] and one.inputs[0].shape[1:] == other.inputs[0].shape[1:]:
            text = f"output {right.name}: {shapes[1]} instead of {shapes[0]} for one input"
            yield Difference("output shape", str(shapes[0]), str(shapes[1]), Cause("other outputs", text))


def _parameters(reference: Side, candidate: Side, kind: str) -> list[Mapping[str, Any]]:
    """Parameters with the component's own defaults filled in, where it tells them."""
    parameters: list[Mapping[str, Any]] = []
    for side in (reference, candidate):
        step: Step = getattr(side.contract, kind)
        component = getattr(side.predictor, f"{kind}or" if kind.endswith("process") else kind)
        told = getattr(component, "params", None)
        defaults = asdict(told) if is_dataclass(told) and not isinstance(told, type) else {}
        parameters.append({**defaults, **step.params})
    return parameters


def _step(
    what: str,
    one: Step,
    other: Step,
    params: list[Mapping[str, Any]],
    hint: Callable[[Sequence[tuple[str, Any, Any]]], str] = lambda different: "",  # noqa: ARG005
) -> Iterator[Difference]:
    if one.component != other.component:
        text = f"{other.component} instead of {one.component}"
        yield Difference(what, one.component, other.component, Cause(f"other {what}", text))
        return
    different = _different(params)
    text = "; ".join(f"{name} is {_said(has)} in CANDIDATE, {_said(had)} in REF" for name, had, has in different)
    for name, had, has in different:
        yield Difference(f"{what} {name}", _said(had), _said(has), Cause(f"other {what}", text, hint(different)))


def _different(params: Sequence[Mapping[str, Any]]) -> list[tuple[str, Any, Any]]:
    """Name, value of the reference and of the candidate of each parameter that differs."""
    left, right = params
    both = ((name, left.get(name), right.get(name)) for name in sorted({*left, *right}))
    return [(name, had, has) for name, had, has in both if _plain(had) != _plain(has)]


def _preprocessing(reference: Side, candidate: Side) -> Iterator[Difference]:
    both = _parameters(reference, candidate, "preprocess")
    steps = reference.contract.preprocess, candidate.contract.preprocess

    def hint(different: Sequence[tuple[str, Any, Any]]) -> str:
        """The flags that make the one do as the other."""
        had, has = (
            " ".join(f"--preprocess {name}={_said(values[place])}" for name, *values in different) for place in (0, 1)
        )
        if reference.takes_flags:
            return (
                f"if CANDIDATE is right, add {has}, which REF was loaded without; else make CANDIDATE again with {had}"
            )
        if candidate.takes_flags:
            return f"if REF is right, add {had}, which CANDIDATE was loaded without; else make REF again with {has}"
        return f"make CANDIDATE again with {had}, as REF says, or REF with {has}"

    yield from _step("preprocessing", *steps, both, hint)


def preprocessing(reference: Side, candidate: Side) -> Cause | None:
    """What two contracts say of preprocessing that differs; None where it does not."""
    return next((each.cause for each in _preprocessing(reference, candidate)), None)


def _said(value: Any) -> str:
    """A value as `--preprocess` takes it."""
    return "null" if value is None else str(_plain(value)).replace(" ", "")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _classes(one: Contract, other: Contract) -> Iterator[Difference]:
    if one.classes == other.classes:
        return
    if len(one.classes) != len(other.classes):
        counts = str(len(one.classes)), str(len(other.classes))
        yield Difference(
            "classes", counts[0], counts[1], Cause("other classes", f"{counts[1]} classes instead of {counts[0]}")
        )
        return
    place = next(at for at, pair in enumerate(zip(one.classes, other.classes, strict=True)) if pair[0] != pair[1])
    names = one.classes[place], other.classes[place]
    unnamed = [numbered(each.classes) for each in (one, other)]
    if any(unnamed):
        which, flag = ("REF", "--loader-option") if unnamed[0] else ("CANDIDATE", "--candidate-loader-option")
        cause = Cause(
            "no class names", f"{which} has numbers for class names", f"pass the names with {flag} names=FILE"
        )
        yield Difference("class names", names[0], names[1], cause, matters=False)
        return
    text = f"class {place} is called {names[1]} instead of {names[0]}"
    yield Difference(f"class {place}", names[0], names[1], Cause("other classes", text))


def _calibration(side: Side, last: bool) -> Iterator[Difference]:
    calibration = side.contract.provenance.get("calibration") or {}
    for tensor in side.contract.inputs:
        shape = calibration.get("shapes", {tensor.name: calibration.get("shape")}).get(tensor.name)
        if shape and len(shape) == len(tensor.shape):
            yield from _shape(tensor.shape, shape, last)


def _shape(own: Sequence[Any], shape: Sequence[int], last: bool) -> Iterator[Difference]:
    if any(isinstance(size, int) and size != seen for size, seen in zip(own[1:], shape[1:], strict=True)):
        which = "CANDIDATE" if last else "REF"
        text = f"{which} was calibrated with inputs {list(shape)}, it takes {list(own)}"
        cause = Cause("calibrated at another shape", text, "quantize again; qcore calibrates at the model's own shape")
        told = f"calibrated at {list(shape)}"
        yield Difference("calibration", "" if last else told, told if last else "", cause)


def provenance(one: Contract, other: Contract) -> Iterator[Difference]:
    """Whether two models were made of different files: checkpoints, or what a contract was attached to."""
    sources = [(each.provenance.get("source") or {}) for each in (one, other)]
    hashes = [source.get("sha256") for source in sources]
    if None not in hashes and hashes[0] != hashes[1]:
        names = [f"{source.get('file', '')} {str(sha)[:12]}" for source, sha in zip(sources, hashes, strict=True)]
        text = f"made of {names[1]}, REF of {names[0]}"
        yield Difference("source", names[0], names[1], Cause("made of another file", text), matters=False)
