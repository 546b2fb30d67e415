"""Component specs: plain data that says what a component is, needs and joins, without importing it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from qcore.errors import MissingDependency, PluginError, UsageError
from qcore.forms import Form
from qcore.host.border import called, guarded
from qcore.host.options import Option, declared_options
from qcore.host.requirements import Requirement
from qcore.words import meant

if TYPE_CHECKING:
    from qcore import protocols
    from qcore.contract import Tensor

T = TypeVar("T")
_listing = ContextVar("_listing", default=False)


@contextmanager
def listing() -> Iterator[None]:
    """While a hook runs, a bad spec does not end it: what comes after is not lost, and the host asks again."""
    token = _listing.set(True)
    try:
        yield
    finally:
        _listing.reset(token)


@dataclass(frozen=True, kw_only=True)
class Spec(Generic[T]):
    """What all components say of themselves.

    Attributes:
        name: Short name, unique within its kind.
        summary: One line for `qcore list-plugins`.
        factory: `package.module:Class`, or the class, or a ready instance; None in a class or object that carries the
            spec as its attribute `spec`.
        requires: Packages it imports when it runs.
        options: Settings it takes: a tuple of `Option`s, or a frozen dataclass of which it then gets an object.
        plugin: Name of the plugin it came from; set by the host.
        distribution: That installed it; set by the host.
        options_type: The dataclass that the options were declared as, if they were.
    """

    kind: ClassVar[str]
    name: str
    summary: str
    factory: Any = None
    requires: tuple[Requirement, ...] = ()
    options: tuple[Option, ...] = ()
    plugin: str = field(default="", compare=False, repr=False)
    distribution: str = field(default="", compare=False, repr=False)
    options_type: Any = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be listed or called.

        Raises:
            PluginError: Names the field.
        """
        if isinstance(self.options, type):
            object.__setattr__(self, "options_type", self.options)
        try:
            object.__setattr__(self, "options", declared_options(self.options))
        except TypeError as error:
            if not _listing.get():
                raise PluginError(f"{self.kind} {self.name}: options: {error}") from error
        for name, fault in () if _listing.get() else self._faults():
            raise PluginError(f"{self.kind} {self.name!r}: {name} {fault}")

    def _faults(self) -> Iterator[tuple[str, str]]:
        if not isinstance(self.name, str) or not self.name or set(self.name) & set(" :,\t\n"):
            yield "name", "has to be a word without spaces, colons and commas"
        if not isinstance(self.summary, str) or "\n" in self.summary.strip():
            yield "summary", "has to be one line"
        if isinstance(self.factory, str) and not re.fullmatch(r"[\w.]+:[\w.]+", self.factory):
            yield "factory", f"has to be `package.module:Class`, a class or an object, not {self.factory!r}"
        for name, kind, many in (("requires", Requirement, True), ("accepts", Form, True), ("produces", Form, False)):
            value = getattr(self, name, () if many else None)
            entries = value if many and isinstance(value, tuple) else (value,)
            if any(not isinstance(entry, kind) for entry in entries if not (entry is None and not many)):
                what = f"a tuple of {kind.__name__}s" if many else f"a {kind.__name__}"
                yield name, f"has to be {what}, not {value!r}"

    @property
    def qualified(self) -> str:
        """The name that is unique even where two plugins offer the same one."""
        return f"{self.plugin}:{self.name}"

    def problems(self) -> list[tuple[str, str]]:
        """(what is wrong, command that mends it) for each requirement that is not met."""
        checked = ((requirement.problem(), requirement.install) for requirement in self.requires)
        return [(problem, install) for problem, install in checked if problem]

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

    def require_factory(self) -> None:
        """Refuse a spec that only what carries it can stand for; PluginError."""
        if self.factory is None:
            raise PluginError(f"{self.kind} {self.name} has no factory", hint="yield the class that carries the spec")

    def resolve(self, target: Any) -> Any:
        """What a dotted target stands for; anything else stands for itself.

        Raises:
            PluginError: It cannot be imported.
        """
        if target is None:
            self.require_factory()
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

    def create(self, *configured: Any, ready: bool = True) -> T:
        """What the factory makes, behind the border (`qcore.host.border`).

        Args:
            *configured: What the kind is made of; nothing but for preprocessors and postprocessors.
            ready: As in `load`, as the errors are.
        """
        factory = self.load(ready=ready)
        if configured or isinstance(factory, type):
            factory = called(self, factory, *configured, doing="being made")
        component: T = guarded(self, factory)
        return component

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All options with their values: those given, parsed, and the defaults.

        Raises:
            UsageError: A name that this component does not have, or a bad value.
        """
        known = {option.name: option for option in self.options}
        if unknown := sorted(set(given) - set(known)):
            raise UsageError(
                f"{self.kind} {self.name}: unknown option {', '.join(unknown)}{meant(unknown[0], known)}",
                hint=f"supported options: {', '.join(known)}" if known else "it has no options",
            )
        return {name: option.parse(given[name]) if name in given else option.default for name, option in known.items()}

    def typed(self, settings: Mapping[str, Any]) -> Any:
        """Settings as the component takes them: an object of the dataclass that declared them, else the mapping."""
        return self.options_type(**settings) if self.options_type else settings


@dataclass(frozen=True, kw_only=True)
class LoaderSpec(Spec["protocols.Loader"]):
    """Reads one family of files into a model; see `qcore.protocols.Loader`.

    Attributes:
        format: Name of the format whose content it reads.
        produces: Form of the model it returns, as far as can be said before a file is open; the format always holds.
        describes: `package.module:function` that gives the contract of an exported file of this family, from its
            inputs, outputs and class names; needs none of the loader's requirements. None where there is no such thing.

    ```python
    from qcore.plugin import Form, LoaderSpec, Model, Option, hookimpl

    class MyNet:
        def matches(self, content): return "MyNet" if "mynet" in content else None
        def load(self, content, *, options):
            return Model(Form("text"), content["mynet"][: options["words"]], contract=None)

    @hookimpl
    def qcore_loaders():
        yield LoaderSpec(
            name="mynet", summary="Reads MyNet checkpoints", factory=MyNet, format="checkpoint", produces=Form("text"),
            options=(Option("words", "how many are read", 2, int),),
        )
    ```
    """

    kind: ClassVar[str] = "loader"
    format: str
    produces: Form
    describes: Any = None


@dataclass(frozen=True, kw_only=True)
class QuantizerSpec(Spec["protocols.Quantizer"]):
    """Makes a quantized model, or a table of scales, from a float model and calibration data.

    Attributes:
        accepts: Forms that it starts from.
        produces: Form of what it gives.
        trains: Whether it can train the quantized network, asked for by its option `qat`.

    ```python
    from qcore.plugin import Form, QuantizerSpec, hookimpl

    class Rounding:
        def quantize(self, model, *, calibration, options, progress):
            step = max(max(batch["x"]) for batch in calibration) / 127
            return model.evolve(form=Form("text", encoding="native"), module=[round(x / step) for x in model.module])

    @hookimpl
    def qcore_quantizers():
        yield QuantizerSpec(
            name="rounding", summary="Rounds weights", factory=Rounding,
            accepts=(Form("text", encoding="float"),), produces=Form("text", encoding="native"),
        )
    ```
    """

    kind: ClassVar[str] = "quantizer"
    accepts: tuple[Form, ...]
    produces: Form
    trains: bool = False


@dataclass(frozen=True, kw_only=True)
class ConverterSpec(Spec["protocols.Converter"]):
    """Turns a model of one form into another. Fields that `produces` leaves None are those of the input.

    ```python
    from qcore.plugin import ConverterSpec, Form, hookimpl

    class Upper:
        def convert(self, model, *, options, progress):
            return model.evolve(form=Form("capitals"), module=model.module.upper())

    @hookimpl
    def qcore_converters():
        yield ConverterSpec(
            name="upper", summary="Text to capitals", factory=Upper, accepts=(Form("text"),), produces=Form("capitals")
        )
    ```
    """

    kind: ClassVar[str] = "converter"
    accepts: tuple[Form, ...]
    produces: Form


@dataclass(frozen=True, kw_only=True)
class BackendSpec(Spec["protocols.Backend"]):
    """Runs models of the accepted forms; forms it runs best stand first.

    Attributes:
        accepts: Those forms.
        runs: Name of the format whose own runtime this is: files of it run here unless another backend is asked for.
        snippet: `package.module:function` that gives the text of `load(path)` for `qcore snippet`, from a model; needs
            none of the backend's requirements. None where there is no such thing.

    ```python
    from qcore.plugin import BackendSpec, Form, hookimpl

    class Session:
        executed_precision = "f32"

        def __init__(self, factor): self.factor = factor
        def run(self, inputs): return {"y": self.factor * inputs["x"]}

    class Tiny:
        def compile(self, model, *, options): return Session(model.module)

    @hookimpl
    def qcore_backends():
        yield BackendSpec(name="tiny", summary="The Tiny runtime", factory=Tiny, accepts=(Form("tiny"),), runs="tiny")
    ```
    """

    kind: ClassVar[str] = "backend"
    accepts: tuple[Form, ...]
    runs: str = ""
    snippet: Any = None


@dataclass(frozen=True, kw_only=True)
class FormatSpec(Spec["protocols.Format"]):
    """Recognises, opens and writes files of one format.

    Attributes:
        suffix: Suffix of the main file that `write` makes, e.g. `.xyz`; empty for a format that is only read.

    ```python
    from qcore.plugin import Form, FormatSpec, hookimpl

    class Text:
        def sniff(self, path): return path.read_bytes()[:5] == b"tiny "
        def open(self, path): return path.read_text()[5:]
        def contract(self, content): return None
        def form(self, content): return Form("tiny")
        def signature(self, content): return (), ()
        def write(self, model, path):
            path.write_text(f"tiny {model.module}")
            return [path]

    @hookimpl
    def qcore_formats():
        yield FormatSpec(name="tiny", summary="Tiny files", factory=Text, suffix=".tiny")
    ```
    """

    kind: ClassVar[str] = "format"
    suffix: str = ""


@dataclass(frozen=True, kw_only=True)
class PreprocessorSpec(Spec["protocols.Preprocessor"]):
    """Reads inputs and turns them into input tensors.

    ```python
    import numpy as np
    from qcore.plugin import Prepared, PreprocessorSpec, hookimpl

    class Columns:
        def __init__(self, params, inputs): self.scale, self.name = params.get("scale", 1.0), inputs[0].name
        def expand(self, source): return [source]
        def read(self, item): return np.loadtxt(item, dtype=np.float32, ndmin=2)
        def prepare(self, raw): return Prepared({self.name: raw[None] * self.scale}, len(raw))

    @hookimpl
    def qcore_preprocessors():
        yield PreprocessorSpec(name="columns", summary="Tables of numbers", factory=Columns)
    ```
    """

    kind: ClassVar[str] = "preprocessor"

    if TYPE_CHECKING:

        def create(  # type: ignore[override]  # the contract configures it
            self, params: Mapping[str, Any], inputs: Sequence[Tensor], *, ready: bool = True
        ) -> protocols.Preprocessor:
            """As in `Spec`."""


@dataclass(frozen=True, kw_only=True)
class PostprocessorSpec(Spec["protocols.Postprocessor"]):
    """Turns output tensors into results.

    ```python
    from qcore.plugin import PostprocessorSpec, hookimpl

    class Largest:
        def __init__(self, params, outputs, classes): self.name, self.classes = outputs[0].name, classes
        def __call__(self, outputs, contexts): return [self.classes[row.argmax()] for row in outputs[self.name]]

    @hookimpl
    def qcore_postprocessors():
        yield PostprocessorSpec(name="largest", summary="The most likely class", factory=Largest)
    ```
    """

    kind: ClassVar[str] = "postprocessor"

    if TYPE_CHECKING:

        def create(  # type: ignore[override]  # the contract configures it
            self, params: Mapping[str, Any], outputs: Sequence[Tensor], classes: Sequence[str], *, ready: bool = True
        ) -> protocols.Postprocessor:
            """As in `Spec`."""


@dataclass(frozen=True, kw_only=True)
class EvaluatorSpec(Spec["protocols.Evaluator"]):
    """Measures models on labelled data of one task.

    ```python
    from qcore.plugin import EvaluatorSpec, hookimpl

    class Counting:
        def __init__(self, labels): self.items, self.labels, self.right = list(labels), list(labels.values()), []
        def add(self, place, raw, result): self.right.append(result == self.labels[place])
        def figures(self): return {"accuracy": sum(self.right) / len(self.right)}

    class Accuracy:
        figure = "accuracy"

        def open(self, contract, data, *, options, progress): return Counting(data)

    @hookimpl
    def qcore_evaluators():
        yield EvaluatorSpec(name="accuracy", summary="Part of right classes", factory=Accuracy, task="classification")
    ```
    """

    kind: ClassVar[str] = "evaluator"
    task: str


@dataclass(frozen=True, kw_only=True)
class VerifierSpec(Spec["protocols.Verifier"]):
    """Holds what a converter made against what it was given; one is made for each route, and follows it.

    ```python
    from qcore.plugin import CheckFailed, VerifierSpec, hookimpl

    class SameLength:
        def check(self, step, before, after, *, options, host, progress):
            if len(before.module) != len(after.module):
                raise CheckFailed(f"converter {step.name} loses something")

    @hookimpl
    def qcore_verifiers():
        yield VerifierSpec(name="length", summary="Nothing is lost", factory=SameLength)
    ```
    """

    kind: ClassVar[str] = "verifier"


@dataclass(frozen=True, kw_only=True)
class CommandSpec(Spec["protocols.Command"]):
    """A subcommand of the command line.

    ```python
    from qcore.plugin import CommandSpec, hookimpl

    class Greet:
        example = "qcore greet world"

        def arguments(self, parser, host): parser.add_argument("whom")
        def run(self, options, output, host):
            output.say(f"Hello, {options.whom}: {len(host.plugins())} plugins are here.")
            return 0

    @hookimpl
    def qcore_commands():
        yield CommandSpec(name="greet", summary="Say hello", factory=Greet)
    ```
    """

    kind: ClassVar[str] = "command"


KINDS: tuple[type[Spec[Any]], ...] = (
    LoaderSpec, QuantizerSpec, ConverterSpec, PreprocessorSpec, PostprocessorSpec, BackendSpec, FormatSpec,
    EvaluatorSpec, VerifierSpec, CommandSpec,
)  # fmt: skip
