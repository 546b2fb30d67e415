"""Checks of what any component declares, and what the checks of all kinds are made of."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import unittest
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import metadata
from typing import Any, ClassVar, NoReturn, TypeVar

import qcore
from qcore.errors import PluginError, QcoreError
from qcore.host.plugins import FILES, Host
from qcore.host.specs import Spec

T = TypeVar("T")
SUMMARY = 100
"""Characters of a summary that a list of plugins has room for."""


class NeedsExample(unittest.SkipTest):
    """A check cannot run: an example or a package is missing; the message says which."""


class Conformance:
    """Checks of one component: the methods `test_*`. A subclass names the component and gives examples.

    Attributes:
        kind: Of the component, e.g. `loader`; set by the class of the kind.
        protocol: What the component has to be able to do: a class whose methods it needs; None for nothing.
        configured: Whether the component is created with arguments, as pre- and postprocessors are.
        component: Name of the component, or `plugin:name`.
        known_failures: Name of a check -> why it fails. One that passes all the same is an error.
        host: Where the component comes from.
    """

    kind: ClassVar[str] = ""
    protocol: ClassVar[Any] = None
    configured: ClassVar[bool] = False
    component: ClassVar[str] = ""
    known_failures: ClassVar[Mapping[str, str]] = {}
    host: ClassVar[Host] = qcore.plugins

    @property
    def spec(self) -> Any:
        """The spec of the component; PluginError where there is none of that name."""
        return self.host.get(spec_class(self.kind, self.host), self.component)

    def made(self, *configured: Any) -> Any:
        """The component.

        Args:
            *configured: What it is created with, if it is `configured`.

        Raises:
            NeedsExample: A package that it requires is not installed.
        """
        spec = self.spec
        if problems := spec.problems():
            raise NeedsExample("; ".join(f"{problem}: {install}" for problem, install in problems))
        return spec.create(*configured)

    def test_the_declaration_can_be_read(self) -> None:
        """The summary is one short line, and each option says what it does."""
        spec = self.spec
        summary = spec.summary.strip()
        if not summary or len(summary) > SUMMARY or summary.endswith("."):
            self.fail(
                f"the summary {summary!r} is not one line of at most {SUMMARY} characters without a full stop",
                "shorten it: qcore list-plugins shows it in a table",
            )
        for option in spec.options:
            if not option.help.strip() or option.help.strip() == option.name.replace("_", " "):
                self.fail(
                    f"option {option.name} has no help",
                    "say what it does: Option(name, help, ...), or a line under `Attributes:` of the dataclass",
                )

    def test_defaults_are_values_of_their_options(self) -> None:
        """A default is of the option's type and among its choices."""
        for option in self.spec.options:
            if option.default is None:
                continue
            try:
                parsed = option.parse(str(option.default) if option.type in (int, float, str) else option.default)
            except QcoreError as error:
                self.fail(f"the default of option {option.name} is refused: {error.message}", "change type or default")
            if parsed != option.default:
                self.fail(
                    f"the default {option.default!r} of option {option.name}, given as text, is read as {parsed!r}",
                    "declare the type that the default has",
                )

    def test_requirements_can_be_installed(self) -> None:
        """A requirement that is not met comes with a command that installs it."""
        for requirement in self.spec.requires:
            problem, command = requirement.problem(), requirement.install
            if not requirement.distribution or "pip install" not in command:
                self.fail(f"requirement {requirement.module}: no command installs it", "name its distribution")
            if problem is None:
                known = metadata.packages_distributions().get(requirement.module, [requirement.distribution])
                names = {name.lower().replace("_", "-") for name in known}
                listed = {requirement.distribution, *(other.distribution for other in requirement.instead)}
                if not names & {name.lower().replace("_", "-") for name in listed}:
                    self.fail(
                        f"requirement {requirement.module} is installed by {', '.join(sorted(names))}, "
                        f"not by {requirement.distribution}",
                        "correct the distribution: its name stands in the hint that users follow",
                    )

    def test_listing_imports_nothing_heavy(self) -> None:
        """Listing the plugin imports no package but its own: those are for the functions that need them."""
        spec = self.spec
        imported = _imported_by(spec.plugin, spec.distribution, os.environ.get(FILES, ""), tuple(sys.path))
        if imported is None:
            raise NeedsExample("the plugin was registered by a script: install it, or name its file in QCORE_PLUGINS")
        if imported:
            self.fail(
                f"listing plugin {spec.plugin} imports {', '.join(imported)}",
                "name the class as text in `factory` (`package.module:Class`), and import inside functions",
            )

    def test_the_component_has_the_methods_of_its_kind(self) -> None:
        """Each method of the protocol is there and takes the protocol's arguments."""
        if self.protocol is None:
            return
        component = self._unmade()
        if isinstance(component, type) and not self.configured:
            component = component()
        for name, asked in _methods(self.protocol):
            method = getattr(component, name, None)
            if not callable(method):
                self.fail(f"method {name} is missing", f"add {name}{inspect.signature(asked)}")
            if fault := _refused(method, asked, bound=not self.configured):
                self.fail(
                    f"method {name} cannot be called as its kind is: {fault}",
                    f"its arguments are {inspect.signature(asked)}",
                )

    def _unmade(self) -> Any:
        spec = self.spec
        if problems := spec.problems():
            raise NeedsExample("; ".join(f"{problem}: {install}" for problem, install in problems))
        return spec.load()

    def fail(self, what: str, mend: str) -> NoReturn:
        """End a check.

        Raises:
            AssertionError: Always; says what is wrong with which component, and what to do.
        """
        raise AssertionError(f"{self.kind} {self.component}: {what}; {mend}")

    def refused(self, doing: str, call: Callable[[], T], *, name: str = "") -> T | None:
        """What a call gives; None if it is refused as it should be, by an error of qcore's that holds `name`.

        Args:
            doing: What is tried, for the error.
            call: Tries it.
            name: What the error has to name, such as the file.

        Raises:
            AssertionError: It raises something else, or names nothing.
        """
        try:
            return call()
        except PluginError as error:
            self.fail(f"{doing}: {error.message}", "raise a qcore.plugin.FileError or UsageError that says what is bad")
        except QcoreError as error:
            if name and name not in error.message:
                self.fail(
                    f"{doing}: the error does not name {name}: {error.message}", "begin the message with the file"
                )
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no error for users
            self.fail(
                f"{doing} raises {type(error).__name__}: {error}",
                "raise a qcore.plugin.FileError or UsageError that says what is bad",
            )


def spec_class(kind: str, host: Host) -> type[Spec[Any]]:
    """The spec class of a kind.

    Raises:
        PluginError: The host knows no such kind.
    """
    for known in host.kinds():
        if known.kind == kind:
            return known
    raise PluginError(f"unknown kind of component {kind!r}", hint="a module in the group qcore.kinds adds it")


def _methods(protocol: Any) -> list[tuple[str, Any]]:
    """What a protocol asks: (name, function), those of its bases too."""
    return [
        (name, value)
        for name, value in inspect.getmembers(protocol, inspect.isfunction)
        if not name.startswith("_") or (name == "__call__" and "__call__" in vars(protocol))
    ]


def _refused(method: Any, asked: Any, *, bound: bool) -> str:
    """Why a method cannot be called with the arguments of another; empty where it can."""
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):
        return ""
    parameters = list(inspect.signature(asked).parameters.values())[1:]  # without self
    named = {each.name: None for each in parameters if each.kind is each.KEYWORD_ONLY}
    places = [None for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    try:
        signature.bind(*([] if bound else [None]), *places, **named)
    except TypeError as error:
        return str(error)
    return ""


_LISTED = """
import json, sys
from importlib import metadata
from pathlib import Path

sys.path[:] = json.loads(sys.argv[4])
import qcore
from qcore.host.plugins import imported

qcore.plugins.kinds()
for point in metadata.entry_points(group="qcore.kinds"):
    point.load()
before = set(sys.modules)
name, distribution, files = sys.argv[1:4]
points = [
    point for point in metadata.entry_points(group="qcore", name=name)
    if (point.dist.name if point.dist else "") == distribution
]
module = points[0].load() if points else imported(Path(files))
for value in list(vars(module).values()):
    if callable(value) and getattr(value, "__name__", "").startswith("qcore_"):
        list(value())
top = {each.partition(".")[0] for each in set(sys.modules) - before}
own = {module.__name__.partition(".")[0], "qcore", "qcore_kit", "__mp_main__"}
same = {each for each, owners in metadata.packages_distributions().items() if distribution in owners}
print(json.dumps(sorted(top - own - same - set(sys.stdlib_module_names))))
"""


@lru_cache
def _imported_by(plugin: str, distribution: str, files: str, path: tuple[str, ...]) -> tuple[str, ...] | None:
    """Packages that listing a plugin imports in a fresh process; None where it cannot be listed there."""
    own = [file for file in files.split(os.pathsep) if os.path.basename(file) == f"{plugin}.py"]  # noqa: PTH119
    installed = [
        point
        for point in metadata.entry_points(group="qcore", name=plugin)
        if (point.dist.name if point.dist else "") == distribution
    ]
    if not own and not installed:
        return None
    listed = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", _LISTED, plugin, distribution, own[0] if own else "", json.dumps(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "QCORE_DISABLE_PLUGINS": "all"},
    )
    if listed.returncode:
        raise AssertionError(f"plugin {plugin} cannot be listed in a new process: {listed.stderr.strip()[-300:]}")
    return tuple(json.loads(listed.stdout.splitlines()[-1]))
