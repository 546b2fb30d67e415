"""The plugin manager: finds plugins, loads each on its own, and keeps what went wrong as data."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

import pluggy

from qcore.errors import PluginError, UsageError
from qcore.host.choice import as_spec, bundled, named
from qcore.host.hooks import API_VERSION, PROJECT, hooks_of
from qcore.host.specs import KINDS, Spec, listing
from qcore.words import meant

GROUP = "qcore"
GROUP_OF_KINDS = "qcore.kinds"
"""Entry points of this group are modules whose `KINDS` are spec classes: further kinds of components."""
DISABLE = "QCORE_DISABLE_PLUGINS"
FILES = "QCORE_PLUGINS"
"""Plugins of one file each, separated as in PATH."""

SpecT = TypeVar("SpecT", bound=Spec[Any])


@dataclass(frozen=True)
class Plugin:
    """An installed or registered plugin, usable or not.

    Attributes:
        name: Name of the entry point, or the one given to `register`.
        distribution: What installed it; empty for one registered from a script.
        version: Version of that distribution.
        status: `ok`, `broken`, `incompatible` or `disabled`.
        problem: What is wrong, one line; empty where nothing is.
        api: Plugin API that it was made for; `unknown` where it does not say.
    """

    name: str
    distribution: str = ""
    version: str = ""
    status: str = "ok"
    problem: str = ""
    api: str = "unknown"

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})" if self.distribution else self.name


@dataclass
class Host:
    """All plugins and the components they register.

    Those of the entry-point group `qcore` are loaded at the first question; `register` adds more.
    """

    entry_points: bool = True
    _host: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager(PROJECT), repr=False)
    _plugins: list[Plugin] = field(default_factory=list, repr=False)
    _components: list[Spec[Any]] = field(default_factory=list, repr=False)
    _kinds: list[type[Spec[Any]]] = field(default_factory=lambda: list(KINDS), repr=False)
    _loaded: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        self._host.add_hookspecs(hooks_of(KINDS))

    def register(self, plugin: Any, name: str | None = None) -> None:
        """Add a plugin from a script: a module, an object with hook implementations, or a file.

        Args:
            plugin: The module or object, as good as an installed one, or the path of a Python file.
            name: What to call it; its own `__name__`, class name, or stem of the file by default.

        Raises:
            PluginError: A mistyped hook, a hook that fails, a file that cannot be imported, or another API version.
            UsageError: The name is taken.
        """
        self._load()
        if isinstance(plugin, str | os.PathLike):
            path = Path(plugin)
            try:
                plugin = imported(path)
            except Exception as error:
                raise PluginError(f"plugin {path}: {_first_line(error)}") from error
            name = name or path.stem
        name = str(name or getattr(plugin, "__name__", type(plugin).__name__))
        if any(known.name == name for known in self._plugins):
            raise UsageError(f"a plugin named {name} is registered already", hint="give another name=")
        for record in self._admit(plugin, Plugin(name)):
            if record.status != "ok":
                raise PluginError(f"plugin {name}: {record.problem}")

    def kinds(self) -> list[type[Spec[Any]]]:
        """The spec classes of all kinds of components: the core's, then those of the group `qcore.kinds`."""
        self._load()
        return list(self._kinds)

    def plugins(self) -> list[Plugin]:
        """Every plugin found, in the order of their names."""
        self._load()
        return list(self._plugins)

    def specs(self, kind: type[SpecT]) -> list[SpecT]:
        """The components of one kind: qcore's own first, each group in a stable order."""
        self._load()
        fitting = [spec for spec in self._components if isinstance(spec, kind)]
        return sorted(fitting, key=lambda spec: not bundled(spec))

    def components(self) -> list[Spec[Any]]:
        """Every component, in a stable order."""
        self._load()
        return list(self._components)

    def get(self, kind: type[SpecT], wanted: Any) -> SpecT:
        """The component of a kind by name, by `plugin:name`, or from an object.

        Raises:
            UsageError: No component of that name, or more than one of which not just one is qcore's own.
        """
        return named(self.specs(kind), kind, wanted)

    def rows(self) -> list[dict[str, str]]:
        """One row a component and one a plugin that cannot be used, for `qcore list-plugins`."""
        known = {plugin.name: plugin for plugin in reversed(self.plugins())}
        rows = []
        for spec in self.components():
            status, hint = "ok", ""
            alike = [each for each in self._components if (type(each), each.name) == (type(spec), spec.name)]
            rivals = [other for other in alike if other is not spec]
            if rivals and not (bundled(spec) and not any(map(bundled, rivals))):
                owners = [f"{known[other.plugin]}" for other in rivals]
                status, hint = "conflict", f"also in {', '.join(owners)}; say {spec.qualified}"
            if problems := spec.problems():
                status, hint = "missing", " && ".join(dict.fromkeys(install for _, install in problems))
            rows.append(_row(spec.kind, spec.name, known[spec.plugin], status, hint, spec.summary))
        unusable = [plugin for plugin in self._plugins if plugin.status != "ok"]
        return rows + [_row("plugin", each.name, each, each.status, each.problem, "") for each in unusable]

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        disabled = {name.strip() for name in os.environ.get(DISABLE, "").split(",") if name.strip()}
        for plugin, loaded in self._imported(GROUP_OF_KINDS, set()):
            self._add_kinds(loaded, plugin)
        if self.entry_points and "all" not in disabled:
            for plugin, loaded in self._imported(GROUP, disabled):
                self._admit(loaded, plugin)
            for plugin, loaded in self._of_files(disabled):
                self._admit(loaded, plugin)
            self._note_unknown(disabled)

    def _imported(self, group: str, disabled: set[str]) -> Iterator[tuple[Plugin, Any]]:
        """The modules of a group of entry points; those that are disabled or cannot be imported become records."""
        for point in sorted(metadata.entry_points(group=group), key=lambda point: (point.name, point.value)):
            dist = point.dist
            plugin = Plugin(point.name, str(dist.name) if dist else "", str(dist.version) if dist else "")
            yield from self._tried(plugin, point.load, disabled)

    def _of_files(self, disabled: set[str]) -> Iterator[tuple[Plugin, Any]]:
        """The modules of the files that `QCORE_PLUGINS` names, each called like its file."""
        for text in filter(None, os.environ.get(FILES, "").split(os.pathsep)):
            path = Path(text)
            yield from self._tried(Plugin(path.stem), partial(imported, path), disabled)

    def _tried(self, plugin: Plugin, load: Callable[[], Any], disabled: set[str]) -> Iterator[tuple[Plugin, Any]]:
        if plugin.name in disabled:
            self._plugins.append(_with(plugin, "disabled", f"named in {DISABLE}"))
            return
        try:
            loaded = load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin does, the others must go on
            self._plugins.append(_with(plugin, "broken", f"cannot be imported: {_first_line(error)}"))
            return
        yield plugin, loaded

    def _note_unknown(self, disabled: set[str]) -> None:
        """A record for each name that is to be left out and is no plugin's."""
        names = {plugin.name for plugin in self._plugins}
        for name in sorted(disabled - names):
            problem = f"named in {DISABLE}, but no plugin is called so{meant(name, names)}"
            self._plugins.append(Plugin(name, status="unknown", problem=problem))

    def _add_kinds(self, module: Any, plugin: Plugin) -> None:
        """Know further kinds; one that another has taken is a broken record."""
        for kind in getattr(module, "KINDS", ()):
            if any(known.kind == kind.kind for known in self._kinds):
                self._plugins.append(_with(plugin, "broken", f"there is a kind {kind.kind} already"))
                continue
            self._kinds.append(kind)
            self._host.add_hookspecs(hooks_of([kind]))

    def _admit(self, module: Any, plugin: Plugin) -> list[Plugin]:
        """Register one plugin and collect its components; returns its records."""
        try:
            plugin = replace(plugin, api=str(getattr(module, "qcore_api", "unknown")))
            records = list(self._examine(module, plugin)) or [plugin]
        except Exception as error:  # noqa: BLE001 - whatever a plugin does, the others must go on
            records = [_with(plugin, "broken", f"cannot be asked for its hooks: {_first_line(error)}")]
        self._plugins += records
        return records

    def _examine(self, module: Any, plugin: Plugin) -> Iterator[Plugin]:
        if plugin.api not in (API_VERSION, "unknown"):
            yield _with(
                plugin, "incompatible", f"requires plugin API {plugin.api}; this release provides {API_VERSION}"
            )
            return
        taken = {known.name for known in self._plugins}
        name = plugin.name if plugin.name not in taken else f"{plugin.name}@{plugin.distribution}"
        try:
            self._host.register(module, name)
        except (pluggy.PluginValidationError, ValueError) as error:
            yield _with(plugin, "broken", str(error).splitlines()[-1].strip())
            return
        for caller in self._host.get_hookcallers(module) or ():
            if not caller.has_spec():
                hooks = [f"qcore_{kind.kind}s" for kind in self._kinds]
                yield _with(plugin, "broken", f"unknown hook {caller.name}{meant(caller.name, hooks)}")
                continue
            kind = next(kind for kind in self._kinds if caller.name == f"qcore_{kind.kind}s")
            for impl in caller.get_hookimpls():
                if impl.plugin is module:
                    yield from self._collect(impl.function, caller.name, kind, plugin)

    def _collect(self, function: Any, hook: str, kind: type[Spec[Any]], plugin: Plugin) -> Iterator[Plugin]:
        """Take the components that a hook yields; what is wrong with one is a record, and the others stay."""
        offered: list[Any] = []
        try:
            with listing():
                for thing in cast("Iterable[Any]", function()):
                    offered.append(thing)  # noqa: PERF402 - what came before a failure stays
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
            yield _with(plugin, "broken", f"{hook} failed: {_first_line(error)}")
        for thing in offered:
            try:
                spec = replace(as_spec(thing, kind), plugin=plugin.name, distribution=plugin.distribution)
                spec.require_factory()
            except UsageError:
                yield _with(plugin, "broken", f"{hook} gave a {type(thing).__name__}, not a {kind.__name__}")
            except Exception as error:  # noqa: BLE001 - as above
                told = f"{hook} gave what cannot be asked: {_first_line(error)}"
                yield _with(plugin, "broken", error.message if isinstance(error, PluginError) else told)
            else:
                self._components.append(spec)


def imported(path: Path) -> ModuleType:
    """The module in a file, under the name of the file unless another has it; raises whatever it raises."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    name = path.stem if path.stem not in sys.modules and not find_spec(path.stem) else f"qcore_plugin_{path.stem}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path}: not a Python file")
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _first_line(error: BaseException) -> str:
    words = str(error).strip().splitlines()
    return f"{type(error).__name__}: {words[0]}" if words else type(error).__name__


def _with(plugin: Plugin, status: str, problem: str) -> Plugin:
    return replace(plugin, status=status, problem=problem)


def _row(kind: str, name: str, plugin: Plugin, status: str, hint: str, summary: str) -> dict[str, str]:
    of_plugin = {"plugin": plugin.name, "version": plugin.version, "distribution": plugin.distribution}
    state = {"api": plugin.api, "status": status, "hint": hint, "summary": summary}
    return {"kind": kind, "name": name, **of_plugin, **state}


installed = Host()
"""The plugins of this process: everything installed, and what `register` adds."""
