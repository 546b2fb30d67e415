"""Which component is meant: nothing is decided by the order in which plugins were found.

An explicit name or object decides; then what the contract holds; then the only component that fits; among several, the
only one of qcore's own distribution. Else nothing is chosen, and the error names them all and what decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from qcore.errors import UsageError
from qcore.host.options import Option
from qcore.host.requirements import DISTRIBUTION
from qcore.host.specs import Spec
from qcore.words import meant

SpecT = TypeVar("SpecT", bound=Spec[Any])
T = TypeVar("T")
LEFT_OUT = "leave one of the plugins out with QCORE_DISABLE_PLUGINS"


def bundled(spec: Spec[Any]) -> bool:
    """Whether a component comes with qcore itself."""
    return spec.distribution == DISTRIBUTION


def own_first(entries: Sequence[T], own: Callable[[T], bool], fits: Callable[[T], object]) -> list[T]:
    """Those of qcore's own that fit; a guest is asked only where none does."""
    return [entry for entry in entries if own(entry) and fits(entry)] or [
        entry for entry in entries if not own(entry) and fits(entry)
    ]


def only(specs: Iterable[SpecT], *, what: str, hint: str = LEFT_OUT) -> SpecT | None:
    """The one component that is chosen among those that fit; None where none does.

    Args:
        specs: Those that fit.
        what: They do, for the error, e.g. `evaluate the task detection`.
        hint: What decides.

    Raises:
        UsageError: Several fit, and not just one of them is qcore's own.
    """
    fitting = list(specs)
    own = [spec for spec in fitting if bundled(spec)]
    if len(own) == 1 or len(fitting) == 1:
        return (own or fitting)[0]
    if fitting:
        names = " and ".join(spec.qualified for spec in own or fitting)
        raise UsageError(f"{fitting[0].kind}s {names} all {what}", hint=hint)
    return None


def named(specs: Sequence[SpecT], kind: type[SpecT], wanted: Any) -> SpecT:
    """The component of a kind by name, by `plugin:name`, or from an object as in `as_spec`.

    Raises:
        UsageError: No component of that name, or more than one of which not just one is qcore's own.
    """
    if not isinstance(wanted, str):
        return as_spec(wanted, kind)
    if exact := [spec for spec in specs if wanted == spec.qualified]:
        return exact[0]
    same = [spec for spec in specs if wanted == spec.name]
    own = [spec for spec in same if bundled(spec)]
    if len(own) == 1 or len(same) == 1:
        return (own or same)[0]
    if same:
        raise UsageError(
            f"{kind.kind} {wanted!r} is provided by several plugins: {' and '.join(spec.plugin for spec in same)}",
            hint=f"use a qualified name: {' or '.join(spec.qualified for spec in same)}; or {LEFT_OUT}",
        )
    names = sorted({spec.name for spec in specs})
    raise UsageError(
        f"unknown {kind.kind} {wanted!r}{meant(wanted, names)}",
        hint=f"available: {', '.join(names) or 'none'}; run qcore list-plugins for details",
    )


def as_spec(thing: Any, kind: type[SpecT]) -> SpecT:
    """The spec that something is or has as its attribute `spec`, whose component it then is.

    Raises:
        UsageError: Neither, or a spec of another kind.
    """
    if isinstance(thing, kind):
        return thing
    spec = getattr(thing, "spec", None)
    if isinstance(spec, kind):
        return replace(spec, factory=thing)
    raise UsageError(
        f"expected a {kind.kind}, got {thing!r}",
        hint=f"give a name, a {kind.__name__}, or an object whose attribute `spec` is a {kind.__name__}",
    )


def shared_options(specs: Sequence[Spec[Any]]) -> dict[str, tuple[Option, list[str]]]:
    """The options of components by the name that sets them, each with the names of its owners.

    Options of one name are one where type and choices agree. One that differs from the first is `COMPONENT.NAME`.
    """
    shared: dict[str, tuple[Option, list[str]]] = {}
    for spec in specs:
        for option in spec.options:
            first, owners = shared.setdefault(option.name, (option, []))
            if (option.type, option.choices) == (first.type, first.choices):
                owners.append(spec.name)
            else:
                shared[f"{spec.name}.{option.name}"] = option, [spec.name]
    return shared
