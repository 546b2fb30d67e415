"""Component specs: plain data that says what a component is, needs and joins, without importing it."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module, metadata
from typing import Any, ClassVar

from qcore.errors import MissingDependency, PluginError, UsageError
from qcore.forms import Form
from qcore.host.border import called, guarded
from qcore.words import meant

DISTRIBUTION = "qcore-quant"
"""Name of this distribution on the package index; every install hint is made from it."""


@dataclass(frozen=True)
class Requirement:
    """A package that a component imports.

    Attributes:
        module: Top-level import name.
        distribution: Name on the package index.
        version: Version specifiers, e.g. `>=3.4,<4`; empty for any.
        extra: Extra of qcore's own distribution that installs it; empty where it has none.
        instead: Packages of which any one does as well.
    """

    module: str
    distribution: str
    version: str = ""
    extra: str = ""
    instead: tuple[Requirement, ...] = ()

    @property
    def install(self) -> str:
        """The command that installs it."""
        wanted = f"{DISTRIBUTION}[{self.extra}]" if self.extra else f"{self.distribution}{self.version}"
        return f"pip install '{wanted}'"

    def problem(self) -> str | None:
        """What is wrong with the installed package, or None. Imports nothing."""
        try:
            found = importlib.util.find_spec(self.module)
        except (ImportError, ValueError):
            found = None
        if found is None or found.origin is None:
            if any(other.problem() is None for other in self.instead):
                return None
            names = " or ".join((self.distribution, *(other.distribution for other in self.instead)))
            return f"{names} is not installed"
        if self.version:
            from packaging.specifiers import SpecifierSet

            try:
                installed = metadata.version(self.distribution)
            except metadata.PackageNotFoundError:
                return None
            if not SpecifierSet(self.version).contains(installed, prereleases=True):
                return f"{self.distribution} {installed} is installed, {self.version} is needed"
        return None


@dataclass(frozen=True)
class Option:
    """A named setting of a component: `--option NAME=VALUE`, or a keyword in Python."""

    name: str
    help: str
    default: Any = None
    type: type = str
    choices: tuple[Any, ...] = ()

    def parse(self, value: Any) -> Any:
        """The value in the option's type.

        Raises:
            UsageError: It cannot be read as that type or is not among the choices.
        """
        try:
            if self.type is bool and isinstance(value, str):
                parsed: Any = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[
                    value.lower()
                ]
            elif value is None or isinstance(value, self.type):
                parsed = value
            elif self.type is tuple and isinstance(value, str):
                parsed = tuple(part.strip() for part in value.split(",") if part.strip())
            else:
                parsed = self.type(value)
        except (KeyError, TypeError, ValueError):
            raise UsageError(f"option {self.name}: {value!r} is not a {self.type.__name__}") from None
        if self.choices and parsed not in self.choices:
            names = [str(choice) for choice in self.choices]
            raise UsageError(
                f"option {self.name}: {parsed!r} is not one of {', '.join(names)}{meant(str(parsed), names)}"
            )
        return parsed


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What all components say of themselves.

    Attributes:
        name: Short name, unique within its kind.
        summary: One line for `qcore list-plugins`.
        factory: `package.module:Class`, or the class, or a ready instance.
        requires: Packages it imports when it runs.
        options: Settings it takes.
        plugin: Name of the plugin it came from; set by the host.
        distribution: That installed it; set by the host.
    """

    kind: ClassVar[str]
    name: str
    summary: str
    factory: Any
    requires: tuple[Requirement, ...] = ()
    options: tuple[Option, ...] = ()
    plugin: str = field(default="", compare=False, repr=False)
    distribution: str = field(default="", compare=False, repr=False)

    @property
    def qualified(self) -> str:
        """The name that is unique even where two plugins offer the same one."""
        return f"{self.plugin}:{self.name}"

    def problems(self) -> list[tuple[str, str]]:
        """(what is wrong, command that mends it) for each requirement that is not met."""
        found = ((requirement.problem(), requirement.install) for requirement in self.requires)
        return [(problem, install) for problem, install in found if problem]

    def load(self, *, ready: bool = True) -> Any:
        """The target, imported.

        Args:
            ready: Refuse where a requirement is not met.

        Raises:
            MissingDependency: A requirement is not met.
            PluginError: The target cannot be imported.
        """
        if ready and (problems := self.problems()):
            raise MissingDependency(
                f"{self.kind} {self.name}: {'; '.join(problem for problem, _ in problems)}",
                hint=" && ".join(dict.fromkeys(install for _, install in problems)),
            )
        return self.resolve(self.factory)

    def resolve(self, target: Any) -> Any:
        """What a dotted target stands for; anything else stands for itself.

        Raises:
            PluginError: It cannot be imported.
        """
        if not isinstance(target, str):
            return target
        module, _, attribute = target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except Exception as error:
            raise PluginError(
                f"{self.kind} {self.name}: cannot import {target} ({type(error).__name__}: {error})",
                hint="reinstall the plugin, or leave it out with QCORE_DISABLE_PLUGINS",
            ) from error

    def create(self, *configured: Any, ready: bool = True) -> Any:
        """What the factory makes, behind the border (`qcore.host.border`).

        Args:
            *configured: What the kind is made of; nothing but for preprocessors and postprocessors.
            ready: As in `load`, as the errors are.
        """
        factory = self.load(ready=ready)
        if configured or isinstance(factory, type):
            factory = called(self, factory, *configured, doing="being made")
        return guarded(self, factory)

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All options with their values: those given, parsed, and the defaults.

        Raises:
            UsageError: A name that this component does not have, or a bad value.
        """
        known = {option.name: option for option in self.options}
        if unknown := sorted(set(given) - set(known)):
            raise UsageError(
                f"{self.kind} {self.name} has no option {', '.join(unknown)}{meant(unknown[0], known)}",
                hint=f"it has: {', '.join(known)}" if known else "it takes none",
            )
        return {name: option.parse(given[name]) if name in given else option.default for name, option in known.items()}


@dataclass(frozen=True, kw_only=True)
class LoaderSpec(Spec):
    """Reads one family of files into a model; see `qcore.protocols.Loader`.

    Attributes:
        format: Name of the format whose content it reads.
        produces: Form of the model it returns.
        describes: `package.module:function` that gives the contract of an exported file of this family, from its
            inputs, outputs and class names; needs none of the loader's requirements. None where there is no such thing.
    """

    kind: ClassVar[str] = "loader"
    format: str
    produces: Form
    describes: Any = None


@dataclass(frozen=True, kw_only=True)
class QuantizerSpec(Spec):
    """Makes a quantized model, or a table of scales, from a float model and calibration data.

    Attributes:
        accepts: Forms that it starts from.
        produces: Form of what it gives.
        trains: Whether it can train the quantized network, asked for by its option `qat`.
    """

    kind: ClassVar[str] = "quantizer"
    accepts: tuple[Form, ...]
    produces: Form
    trains: bool = False


@dataclass(frozen=True, kw_only=True)
class ConverterSpec(Spec):
    """Turns a model of one form into another. Fields that `produces` leaves None are those of the input."""

    kind: ClassVar[str] = "converter"
    accepts: tuple[Form, ...]
    produces: Form


@dataclass(frozen=True, kw_only=True)
class BackendSpec(Spec):
    """Runs models of the accepted forms; forms it runs best stand first.

    Attributes:
        accepts: Those forms.
        runs: Name of the format whose own runtime this is: files of it run here unless another backend is asked for.
        snippet: `package.module:function` that gives the text of `load(path)` for `qcore snippet`, from a model; needs
            none of the backend's requirements. None where there is no such thing.
    """

    kind: ClassVar[str] = "backend"
    accepts: tuple[Form, ...]
    runs: str = ""
    snippet: Any = None


@dataclass(frozen=True, kw_only=True)
class FormatSpec(Spec):
    """Recognises, opens and writes files of one format.

    Attributes:
        suffix: Suffix of the main file that `write` makes, e.g. `.xyz`; empty for a format that is only read.
    """

    kind: ClassVar[str] = "format"
    suffix: str = ""


@dataclass(frozen=True, kw_only=True)
class PreprocessorSpec(Spec):
    """Reads inputs and turns them into input tensors."""

    kind: ClassVar[str] = "preprocessor"


@dataclass(frozen=True, kw_only=True)
class PostprocessorSpec(Spec):
    """Turns output tensors into results."""

    kind: ClassVar[str] = "postprocessor"


@dataclass(frozen=True, kw_only=True)
class EvaluatorSpec(Spec):
    """Measures a predictor on labelled data of one task."""

    kind: ClassVar[str] = "evaluator"
    task: str


@dataclass(frozen=True, kw_only=True)
class CommandSpec(Spec):
    """A subcommand of the command line."""

    kind: ClassVar[str] = "command"


KINDS: tuple[type[Spec], ...] = (
    LoaderSpec,
    QuantizerSpec,
    ConverterSpec,
    PreprocessorSpec,
    PostprocessorSpec,
    BackendSpec,
    FormatSpec,
    EvaluatorSpec,
    CommandSpec,
)
