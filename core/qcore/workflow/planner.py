"""Routes: which converters lead from a model's form to a backend, found before anything heavy is imported."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from qcore.errors import MissingDependency, NoRoute, UsageError
from qcore.forms import Form
from qcore.host.choice import LEFT_OUT, bundled
from qcore.host.specs import BackendSpec, ConverterSpec, QuantizerSpec, Spec

UNINSTALLED = 100.0
"""Extra cost of a component whose packages are missing: taken only where nothing installed leads there."""
GUEST = 10.0
"""Extra cost of a component that is not qcore's own: what somebody installs joins a route only where it is asked for by
name, or where nothing else leads there."""
LESS_FITTING = 0.1
"""Extra cost for each place further down a backend's list of accepted forms."""


@dataclass(frozen=True)
class Leg:
    """One step of a route."""

    spec: Spec[Any]
    source: Form
    result: Form


@dataclass(frozen=True)
class Plan:
    """A route from a form, through a quantizer where one is asked for, to a backend.

    Attributes:
        start: Form of the model as the loader gives it.
        legs: Converters and the quantizer, in order.
        backend: What runs the result; None for a plan that only converts.
    """

    start: Form
    legs: tuple[Leg, ...]
    backend: BackendSpec | None

    @property
    def end(self) -> Form:
        """Form of the result."""
        return self.legs[-1].result if self.legs else self.start

    @property
    def components(self) -> list[Spec[Any]]:
        """Everything that the plan runs, in order."""
        return [leg.spec for leg in self.legs] + ([self.backend] if self.backend else [])

    def problems(self) -> list[tuple[str, str]]:
        """(component and what it lacks, command that mends it)."""
        return [
            (f"{spec.kind} {spec.name}: {problem}", install)
            for spec in self.components
            for problem, install in spec.problems()
        ]

    def require(self) -> None:
        """Raise MissingDependency, with every command at once, where something is not installed."""
        if problems := self.problems():
            raise MissingDependency(
                "; ".join(dict.fromkeys(problem for problem, _ in problems)),
                hint=" && ".join(dict.fromkeys(install for _, install in problems)),
            )


def _inherit(produced: Form, source: Form) -> Form:
    """`produced`, with the fields it leaves open taken from the source."""
    declared = {field.name: getattr(produced, field.name) for field in fields(produced)}
    return replace(source, **{name: value for name, value in declared.items() if value is not None})


def _cost(spec: Spec[Any]) -> float:
    chosen_by_name = isinstance(spec, QuantizerSpec)
    guest = not bundled(spec) and not chosen_by_name
    return 1.0 + (UNINSTALLED if spec.problems() else 0.0) + (GUEST if guest else 0.0)


def _neighbours(
    form: Form, quantized: bool, converters: Sequence[ConverterSpec], quantizer: QuantizerSpec | None
) -> Iterator[tuple[Leg, bool]]:
    for converter in converters:
        if any(pattern.accepts(form) for pattern in converter.accepts):
            result = _inherit(converter.produces, form)
            if result != form:
                yield Leg(converter, form, result), quantized
    if quantizer and not quantized and any(pattern.accepts(form) for pattern in quantizer.accepts):
        yield Leg(quantizer, form, _inherit(quantizer.produces, form)), True


def find(
    start: Form, *, converters: Sequence[ConverterSpec], quantizer: QuantizerSpec | None = None,
    backend: BackendSpec | None = None, goal: Form | None = None, through: str | None = None,
    head: str | None = None, precision: str | None = None,
) -> Plan:  # fmt: skip
    """The cheapest route.

    Args:
        start: Form of the loaded model.
        converters: Everything that can be used on the way.
        quantizer: Has to be passed once.
        backend: Has to accept the result; or `goal` has to, without a backend.
        goal: Such a form, e.g. `Form("onnx")`.
        through: Profile that the quantized graph has to be written for.
        head: Of the result.
        precision: Of what is not quantized in the result, as in `Form.precision`.

    Raises:
        NoRoute: There is none; says what can be reached and what would be accepted.
        UsageError: Two lead there equally well, and not both are qcore's own.
    """
    ticket = itertools.count()
    done = quantizer is None
    queue: list[tuple[float, tuple[str, ...], int, Form, bool, bool, tuple[Leg, ...]]] = [
        (0.0, (), next(ticket), start, done, through is None, ())
    ]
    best: tuple[float, Plan] | None = None
    rivals: list[Plan] = []
    seen: set[tuple[Form, bool, bool]] = set()
    while queue:
        cost, names, _, form, quantized, passed, legs = heapq.heappop(queue)
        if best and cost > best[0]:
            break
        fits = quantized and passed and head in (None, form.head) and precision in (None, form.precision)
        rank = _rank(form, backend, goal) if fits else None
        if (form, quantized, passed) in seen:
            if best and rank is not None and cost + LESS_FITTING * rank == best[0]:
                rivals.append(Plan(start, legs, backend))
            continue
        seen.add((form, quantized, passed))
        if rank is not None:
            total = cost + LESS_FITTING * rank
            if best is None or total < best[0]:
                best = total, Plan(start, legs, backend)
                rivals = []
            elif total == best[0]:
                rivals.append(Plan(start, legs, backend))
        for leg, now in _neighbours(form, quantized, converters, quantizer):
            reached = passed or leg.result.profile == through
            longer, named = cost + _cost(leg.spec), (*names, leg.spec.qualified)
            heapq.heappush(queue, (longer, named, next(ticket), leg.result, now, reached, (*legs, leg)))
    if best is None:
        raise _no_route(start, seen, quantizer, backend, goal, through, precision)
    _refuse_equals(best[1], rivals)
    return best[1]


def _refuse_equals(best: Plan, rivals: Sequence[Plan]) -> None:
    """Refuse two routes of which neither is better, unless both are of qcore's own components.

    Raises:
        UsageError: Names the components in which they differ.
    """
    for other in rivals:
        apart = [
            (one.spec, two.spec) for one, two in zip(best.legs, other.legs, strict=False) if one.spec is not two.spec
        ]
        if any(not bundled(spec) for pair in apart for spec in pair):
            one, two = apart[0]
            raise UsageError(f"{one.kind}s {one.qualified} and {two.qualified} lead there equally well", hint=LEFT_OUT)


def _rank(form: Form, backend: BackendSpec | None, goal: Form | None) -> int | None:
    patterns = backend.accepts if backend else (goal,) if goal else (form,)
    return next((rank for rank, pattern in enumerate(patterns) if pattern.accepts(form)), None)


def _no_route(
    start: Form, seen: set[tuple[Form, bool, bool]], quantizer: QuantizerSpec | None, backend: BackendSpec | None,
    goal: Form | None, through: str | None, precision: str | None,
) -> NoRoute:  # fmt: skip
    target = f"backend {backend.name}" if backend else str(goal)
    reached = sorted({str(form) for form, quantized, _ in seen if quantized})
    wanted = ", ".join(map(str, backend.accepts)) if backend else str(goal)
    quantized = start.encoding not in (None, "float")
    if not reached and quantizer and quantized and all(form.encoding == "float" for form in quantizer.accepts):
        return NoRoute(
            f"the model is quantized already, {start}; quantizer {quantizer.name} starts from a float model",
            hint="quantize the float model that it was made from",
        )
    if not reached and quantizer:
        return NoRoute(
            f"no conversion route from {start} to quantizer {quantizer.name}, "
            f"which accepts {', '.join(map(str, quantizer.accepts))}",
            hint="qcore list-plugins shows the converters that are there",
        )
    asked = (f" with profile {through}" if through else "") + (f" in {precision}" if precision else "")
    if backend and not quantizer:
        return NoRoute(f"{target} cannot run {start}{asked}", hint=f"it runs {wanted}; omit --backend for one that can")
    return NoRoute(
        f"no conversion route from {start}{f' with quantizer {quantizer.name}' if quantizer else ''} to {target}"
        f"{asked}; reachable: {'; '.join(reached)}; {target} accepts: {wanted}",
        hint="qcore plan without a quantizer, or with another one, shows what works",
    )
