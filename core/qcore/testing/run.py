"""Running the checks of a plugin's components, with or without pytest."""

from __future__ import annotations

import inspect
import unittest
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import qcore
from qcore.errors import PluginError, UsageError
from qcore.host.plugins import Host
from qcore.host.specs import Spec
from qcore.testing.conformance import Conformance
from qcore.words import meant

GROUP_OF_CLASSES = "qcore.testing"
"""Entry points, each named like a kind: the class with the checks of that kind."""
GROUP_OF_EXAMPLES = "qcore.conformance"
"""Entry points, each named like a plugin: the module with the subclasses for its components."""

Status = Literal["passed", "failed", "skipped", "known"]


@dataclass(frozen=True)
class Outcome:
    """What came of one check.

    Attributes:
        component: `kind name`.
        check: Name of the method.
        status: `passed`, `failed`, `skipped` for want of an example or a package, or `known`: failed as declared.
        message: What is wrong and what to do, or what is missing; empty where it passed.
    """

    component: str
    check: str
    status: Status
    message: str = ""


def conformance_of(plugin: str, host: Host | None = None) -> list[type[Conformance]]:
    """The classes of checks for all components of a plugin, one or more a component.

    Args:
        plugin: Name, as `qcore list-plugins` shows it.
        host: Where it is; the process's own by default.

    Raises:
        UsageError: There is no plugin of that name, or it has no components.
        PluginError: It is broken, or its examples cannot be imported.
    """
    host = host or qcore.plugins
    known = {each.name: each for each in host.plugins()}
    if plugin not in known:
        raise UsageError(
            f"no plugin is named {plugin}{meant(plugin, known)}", hint="qcore list-plugins shows the names"
        )
    if known[plugin].status != "ok":
        raise PluginError(f"plugin {plugin} is {known[plugin].status}: {known[plugin].problem}")
    specs = [spec for spec in host.components() if spec.plugin == plugin]
    if not specs:
        raise UsageError(f"plugin {plugin} offers no components", hint="its hooks have to yield specs")
    examples = _examples(plugin, known[plugin].distribution)
    return [checks for spec in specs for checks in _for(spec, examples, host)]


def run_checks(classes: list[type[Conformance]], only: str | None = None) -> Iterator[Outcome]:
    """Run every check of some classes, or the one called `only`, each in a temporary folder of its own."""
    for each in classes:
        for name in checks_of(each):
            if only in (None, name):
                yield _run(each, name)


def checks_of(checks: type[Conformance]) -> list[str]:
    """Names of the checks of a class, what all components hold to first.

    Raises:
        PluginError: `known_failures` names a check that there is not.
    """
    places = {name: place for place, kind in enumerate(reversed(checks.__mro__)) for name in vars(kind)}
    names = [name for name in dir(checks) if name.startswith("test_")]
    if unknown := sorted(set(checks.known_failures) - set(names)):
        raise PluginError(f"{checks.__name__}.known_failures: no check is named {unknown[0]}{meant(unknown[0], names)}")
    return sorted(names, key=lambda name: (places[name], _line(checks, name)))


def _line(checks: type[Conformance], name: str) -> int:
    code = getattr(inspect.unwrap(getattr(checks, name)), "__code__", None)
    return code.co_firstlineno if code else 0


def _run(checks: type[Conformance], name: str) -> Outcome:
    component, reason = f"{checks.kind} {checks.component}", checks.known_failures.get(name)
    try:
        method = getattr(checks(), name)
        with TemporaryDirectory() as folder:
            method(*([Path(folder)] if "tmp_path" in inspect.signature(method).parameters else []))
    except unittest.SkipTest as missing:
        return Outcome(component, name, "skipped", str(missing))
    except AssertionError as error:
        return Outcome(component, name, "known" if reason else "failed", reason or str(error))
    except Exception as error:  # noqa: BLE001 - whatever a component raises is what is reported
        told = f"{component}: {type(error).__name__}: {error}"
        return Outcome(component, name, "known" if reason else "failed", reason or told)
    if reason:
        return Outcome(component, name, "failed", f"{component}: passes now; remove it from known_failures ({reason})")
    return Outcome(component, name, "passed")


def _examples(plugin: str, distribution: str) -> list[type[Conformance]]:
    found: list[type[Conformance]] = []
    for point in metadata.entry_points(group=GROUP_OF_EXAMPLES, name=plugin):
        if point.dist is not None and point.dist.name != distribution:
            continue
        try:
            module = point.load()
        except Exception as error:
            raise PluginError(
                f"the examples of plugin {plugin} cannot be imported: {type(error).__name__}: {error}",
                hint=f"the entry point {plugin} of the group {GROUP_OF_EXAMPLES} names {point.value}",
            ) from error
        found += [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, Conformance) and value.component
        ]
    return found


def _for(spec: Spec[Any], examples: list[type[Conformance]], host: Host) -> list[type[Conformance]]:
    own = [each for each in examples if each.kind == spec.kind and each.component in (spec.name, spec.qualified)]
    return own or [type(f"Of{spec.name}", (_class_of(spec.kind),), {"component": spec.qualified, "host": host})]


def _class_of(kind: str) -> type[Conformance]:
    for point in metadata.entry_points(group=GROUP_OF_CLASSES, name=kind):
        loaded: type[Conformance] = point.load()
        return loaded
    return type(f"{kind.title()}Conformance", (Conformance,), {"kind": kind})
