"""A run: works on recipes; loads, converts, reads and quantizes once, and remembers it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from qcore.contract import Contract
from qcore.errors import NoRoute, UsageError
from qcore.forms import Form
from qcore.host.choice import only, shared_options
from qcore.host.plugins import Host
from qcore.host.specs import BackendSpec, ConverterSpec, LoaderSpec, PreprocessorSpec, QuantizerSpec, Spec, VerifierSpec
from qcore.model import Model
from qcore.protocols import LIMIT, SEED, Preprocessor, Progress
from qcore.workflow import opening, planner
from qcore.workflow.evaluating import Evaluation, Judge
from qcore.workflow.inputs import Calibration
from qcore.workflow.planner import Leg, Plan
from qcore.workflow.predictor import Predictor, assembled
from qcore.workflow.sessions import compiled, declared

if TYPE_CHECKING:
    from qcore.protocols import Verifier
    from qcore.workflow.recipe import Quantizing, Recipe

Key = tuple[Any, ...]
"""What decided a stage: the file and how it is loaded, then each step with its options."""
T = TypeVar("T")
LOADED, QUANTIZER = "loaded", "quantizer"
_NUMBERS = itertools.count()


@dataclass
class Memory:
    """What runs share: float models, inputs, the first quantized model and the last, and the last made of one."""

    kept: dict[Key, Any] = field(default_factory=dict)
    slots: dict[str, tuple[Key, Model]] = field(default_factory=dict)
    verified: set[Key] = field(default_factory=set)
    _alive: dict[int, Any] = field(default_factory=dict)

    def once(self, key: Key, make: Callable[[], T]) -> T:
        """What `make` gave the first time."""
        if key not in self.kept:
            self.kept[key] = make()
        value: T = self.kept[key]
        return value

    def lately(self, slot: str, key: Key, make: Callable[[], Model]) -> Model:
        """What `make` gave, if that is the last that the slot was used for: others may be many, and large."""
        if slot not in self.slots or self.slots[slot][0] != key:
            self.slots.pop(slot, None)
            self.slots[slot] = key, make()
        return self.slots[slot][1]

    def clear(self) -> None:
        """Forget all, for every run that shares it."""
        for kept in (self.kept, self.slots, self.verified, self._alive):
            kept.clear()

    def key(self, value: Any) -> Any:
        """A value as part of a key: plain data by value, anything else by identity."""
        if isinstance(value, Mapping):
            return tuple((str(name), self.key(value[name])) for name in sorted(value, key=str))
        if isinstance(value, list | tuple):
            return tuple(map(self.key, value))
        if value is None or isinstance(value, str | int | float | os.PathLike):
            return type(value).__name__, str(value)
        self._alive[id(value)] = value  # so that no other object gets its identity
        return "object", id(value)


class Run:
    """Works on a recipe: everything runs when it is asked for, once.

    A context manager: leaving it frees what it remembers.

    Attributes:
        recipe: What is done.
        host: Where components come from.
        progress: Where steps are shown.
    """

    def __init__(
        self, recipe: Recipe, host: Host, progress: Progress, *, memory: Memory | None = None,
        given: tuple[int, Model] | None = None,
    ) -> None:  # fmt: skip
        """See `Recipe.start`, `vary` and `begun_at`."""
        self.recipe, self.host, self.progress = recipe, host, progress
        self._memory, self._given = memory or Memory(), given
        wanted = recipe.quantizing
        self.quantizer = None if wanted is None else host.get(QuantizerSpec, wanted.quantizer)
        self.quantizer_options = self.quantizer.settings(wanted.options) if self.quantizer and wanted else {}
        self._backend = None if recipe.backend is None else host.get(BackendSpec, recipe.backend)
        self.backend_options = self._backend.settings(recipe.backend_options) if self._backend else {}
        self._require_conversion()

    def __repr__(self) -> str:
        return f"Run({self.recipe!r})"

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()

    def forget(self) -> None:
        """Free everything that is remembered; what is asked for then is made anew."""
        self._memory.clear()

    def vary(self, recipe: Recipe) -> Run:
        """A run of another recipe, which shares what both have in common; of the same file, a model given too."""
        run = Run(recipe, self.host, self.progress, memory=self._memory)
        run._given = self._given if run._loaded_key == self._loaded_key else None
        return run

    def begun_at(self, model: Model) -> Run:
        """A run of the same recipe that starts from a model; one that is quantized is not quantized again."""
        return Run(self.recipe, self.host, self.progress, memory=self._memory, given=(next(_NUMBERS), model))

    def plan(self, until: str | Form | None = None) -> Plan:
        """The route to the backend, or to a format or form as in `model`.

        Opens the file only where its name alone leaves the form open.

        Raises:
            NoRoute: No converters lead there.
        """
        loaded = self._given[1] if self._given else self._memory.kept.get(self._loaded_key)
        return self._planned(loaded.form if loaded else self.start_form, until)

    def model(self, until: str | Form | None = None, *, verify: bool = False) -> Model:
        """The model at the end of the route.

        Args:
            until: `loaded`, `quantizer`, a format, or a form to end at instead of the backend's own.
            verify: Run the result of every converter beside what it was given.

        Raises:
            CheckFailed: The results differ by more than rounding does; names converter, output and distance.
            MissingDependency: Something on the way is not installed.
        """
        model = self._loaded()
        if until == LOADED:
            return model
        plan = self._planned(model.form, until)
        return self._walked(model, plan, self._verifier() if verify else None)

    def contract(self) -> Contract:
        """Of the loaded model."""
        return self._loaded().contract

    def save(self, folder: str | os.PathLike[str], *, to: str | Form | None = None) -> Path:
        """Write the model at the end of the route, verified; gives the main file.

        Args:
            folder: Made where there is none.
            to: As `until` in `model`.

        Raises:
            CheckFailed: A converter's result differs from what it was given.
        """
        return opening.save(self.model(to, verify=True), folder, self.recipe.file.stem, self.host)[-1]

    def predictor(self) -> Predictor:
        """The result compiled on the backend, ready to be called.

        Raises:
            UsageError: No backend was chosen and more than one, or none, runs the model as it is; or the contract has
                no protocol of that name.
        """
        run = self if self._backend else self.vary(self.recipe.with_backend(self.backend))
        model = run.model()
        with self.progress.step(f"compiling for {run.backend.name}"):
            session = compiled(run.backend, model, run.backend_options)
            changed: dict[str, Any] = {"protocol": self.recipe.protocol, "overrides": self.recipe.parameters}
            return assembled(model.contract, session, run.backend.name, plugins=self.host, **changed)

    def evaluate(self, data: Any, *, protocol: str | None = None, sections: bool = False, **options: Any) -> Evaluation:
        """Measure on labelled data.

        Args:
            data: What the evaluator of the model's task reads.
            protocol: Of the contract; the recipe's by default, else the first. `deployed`: its own parameters.
            sections: Whether to collect what a report shows.
            **options: Of the evaluator.
        """
        judge = Judge(self.host, data, options, self.progress)
        named = judge.protocol(self.contract(), protocol or self.recipe.protocol)
        predictor = self.vary(self.recipe.with_protocol(named)).predictor()
        return judge.evaluation(predictor, named, sections=sections)

    @cached_property
    def judge(self) -> Judge | None:
        """Measures on the labelled data that the recipe decides on."""
        given = self.recipe.deciding
        return Judge(self.host, given.data, given.options, self.progress) if given else None

    def calibration(self) -> Calibration:
        """The inputs that the quantizer is given."""
        return self._calibration(self._loaded().contract)

    def inputs(self, source: Any, *, limit: int | None = LIMIT, seed: int = SEED) -> Calibration:
        """Inputs read with the model's own preprocessing; arguments as in `Quantizing`."""
        return self._inputs(self._loaded().contract, source, limit, seed)

    def preprocessor(self, contract: Contract | None = None) -> Preprocessor:
        """The preprocessor that a contract asks for; the loaded model's by default."""
        wanted = contract or self._loaded().contract
        spec = self.host.get(PreprocessorSpec, wanted.preprocess.component)
        preprocessor: Preprocessor = spec.create(wanted.preprocess.params, wanted.inputs)
        return preprocessor

    @property
    def backend(self) -> BackendSpec:
        """What runs the result: the recipe's, or the only one that runs the model as it is loaded.

        Raises:
            UsageError: None was chosen, and none or several do.
        """
        if self._backend:
            return self._backend
        form = self._loaded().form
        usable = [spec for spec in self.host.specs(BackendSpec) if any(p.accepts(form) for p in spec.accepts)]
        own = [spec for spec in usable if spec.runs == form.format] or usable
        installed = [spec for spec in own if not spec.problems()] or own
        chosen = only(installed, what=f"run {form}", hint="say which with --backend")
        if chosen is None:
            others = ", ".join(spec.name for spec in self.host.specs(BackendSpec) if self._leads_to(spec))
            hint = f"choose one with --backend: {others}" if others else "qcore list-plugins --kind backend"
            raise UsageError(f"no backend runs {form} as it is", hint=hint)
        return chosen

    def _leads_to(self, backend: BackendSpec) -> bool:
        try:
            self.vary(self.recipe.with_backend(backend)).plan()
        except NoRoute:
            return False
        return True

    @property
    def _loaded_key(self) -> Key:
        recipe, key = self.recipe, self._memory.key
        return LOADED, str(recipe.file), key(recipe.loader), key(recipe.loader_options), key(recipe.preprocess)

    def _loaded(self) -> Model:
        return self._given[1] if self._given else self._memory.once(self._loaded_key, self._load)

    def _load(self) -> Model:
        recipe = self.recipe
        with self.progress.step(f"reading {recipe.file}"):
            model = opening.load(recipe.file, plugins=self.host, loader=recipe.loader, options=recipe.loader_options)
        if recipe.preprocess:
            step = model.contract.preprocess.updated(recipe.preprocess)
            model = model.evolve(contract=replace(model.contract, preprocess=step))
            self.preprocessor(model.contract)
        return model

    @cached_property
    def start_form(self) -> Form:
        """The form that loading gives, without reading weights where all loaders of the format agree."""
        spec, _ = opening.recognise(self.recipe.file, self.host)
        if self.recipe.loader is not None:
            return self.host.get(LoaderSpec, self.recipe.loader).produces
        forms = {loader.produces for loader in self.host.specs(LoaderSpec) if loader.format == spec.name}
        if len(forms) == 1 and not spec.suffix:
            return forms.pop()
        return opening.open_file(self.recipe.file, self.host).form if spec.suffix else self._loaded().form

    def _planned(self, start: Form, until: str | Form | None) -> Plan:
        done = self._given is not None and self._given[1].form.encoding not in (None, "float")
        quantizer, recipe = None if done else self.quantizer, self.recipe
        parts = quantizer, self._backend, recipe.profile, recipe.head, recipe.precision
        key = "plan", start, until, self._memory.key(parts)
        return self._memory.once(key, lambda: self._found(start, until, quantizer))

    def _found(self, start: Form, until: str | Form | None, quantizer: QuantizerSpec | None) -> Plan:
        recipe = self.recipe
        goal = Form(until) if isinstance(until, str) else until
        if until == QUANTIZER:
            goal = quantizer.produces if quantizer else self.host.get(QuantizerSpec, self._wanted.quantizer).produces
        wanted: dict[str, Any] = {"through": recipe.profile, "head": recipe.head}
        wanted |= {"precision": None if until == QUANTIZER else recipe.precision, "goal": goal}
        backend, converters = None if goal else self._backend, self.host.specs(ConverterSpec)
        plan = planner.find(start, converters=converters, quantizer=quantizer, backend=backend, **wanted)
        if until == QUANTIZER and quantizer is not None:
            place = next(place for place, leg in enumerate(plan.legs) if leg.spec is quantizer)
            return replace(plan, legs=plan.legs[: place + 1], backend=None)
        return plan

    def _walked(self, model: Model, plan: Plan, verifier: Verifier | None) -> Model:
        plan.require()
        key: Key = ("given", self._given[0]) if self._given else self._loaded_key
        for leg in plan.legs:
            before, options = model, self._options(leg.spec)
            key = (*key, leg.spec.kind, leg.spec.qualified, self._memory.key(options), self._fed(leg.spec))
            model = self._step(key, leg, before, options)
            if verifier and isinstance(leg.spec, ConverterSpec) and key not in self._memory.verified:
                with self.progress.step(f"verifying {leg.spec.name}"):
                    verifier.check(leg.spec, before, model, options=options, host=self.host, progress=self.progress)
                self._memory.verified.add(key)
        return model

    def _verifier(self) -> Verifier | None:
        spec = only(self.host.specs(VerifierSpec), what="verify what converters make")
        return spec.create() if spec else None

    def _step(self, key: Key, leg: Leg, model: Model, options: Mapping[str, Any]) -> Model:
        """One leg, unless it is remembered."""
        if isinstance(leg.spec, QuantizerSpec):
            first = self._memory.slots.get("first", (key,))[0] == key
            return self._memory.lately("first" if first else "again", key, lambda: self._quantized(model))
        if leg.result.encoding in (None, "float"):
            return self._memory.once(key, lambda: self._converted(leg, model, options))
        return self._memory.lately("written", key, lambda: self._converted(leg, model, options))

    def _converted(self, leg: Leg, model: Model, options: Mapping[str, Any]) -> Model:
        with self.progress.step(f"{leg.source.format} to {leg.result.format} ({leg.spec.name})"):
            converted = leg.spec.create().convert(model, options=leg.spec.typed(options), progress=self.progress)
            return declared(leg.spec, converted, leg.result)

    def _options(self, spec: Spec[Any]) -> Mapping[str, Any]:
        """Of a quantizer, or those set for converters that this one has."""
        if isinstance(spec, QuantizerSpec):
            return self.quantizer_options
        shared = shared_options(self.host.specs(ConverterSpec))
        names = {option.name: f"{spec.name}.{option.name}" for option in spec.options}
        keys = {name: own if own in shared else name for name, own in names.items()}
        given = self.recipe.conversion
        return spec.settings({name: given[key] for name, key in keys.items() if key in given})

    def _fed(self, spec: Spec[Any]) -> Any:
        """What a quantizer is fed, as part of a key."""
        if not isinstance(spec, QuantizerSpec):
            return ()
        wanted, deciding = self._wanted, self.recipe.deciding
        labelled = (deciding.data, deciding.options) if deciding else ()
        return self._memory.key((wanted.calibration, wanted.limit, wanted.seed, labelled))

    @property
    def _wanted(self) -> Quantizing:
        if self.recipe.quantizing is None:
            raise UsageError("this recipe quantizes nothing", hint="with_quantizer(...) says with what")
        return self.recipe.quantizing

    def _calibration(self, contract: Contract) -> Calibration:
        wanted = self._wanted
        return self._inputs(contract, wanted.calibration, wanted.limit, wanted.seed)

    def _inputs(self, contract: Contract, source: Any, limit: int | None, seed: int) -> Calibration:
        key = ("inputs", str(contract.inputs), str(contract.preprocess), self._memory.key(source), limit, seed)

        def choose() -> Calibration:
            drawn: dict[str, Any] = {"limit": limit, "seed": seed, "progress": self.progress}
            return Calibration.choose(source, preprocessor=self.preprocessor(contract), contract=contract, **drawn)

        return self._memory.once(key, choose)

    def _quantized(self, model: Model) -> Model:
        spec = self.quantizer
        assert spec is not None  # noqa: S101 - a plan with this leg has one
        data = self._calibration(model.contract)
        data.judge = None if self.judge is None else partial(self.judge.session, model)
        done = spec.create().quantize(
            model, calibration=data, options=spec.typed(self.quantizer_options), progress=self.progress
        )
        done = declared(spec, done, spec.produces)
        settings = {option.name: self.quantizer_options[option.name] for option in spec.options if not option.local}
        known = done.contract.provenance
        quantization = {"quantizer": spec.name, "recipe": settings, **dict(known.get("quantization", {}))}
        provenance = {**known, "quantization": quantization, "calibration": data.provenance()}
        return done.evolve(contract=replace(done.contract, provenance=provenance))

    def _require_conversion(self) -> None:
        """Hold the converters' options against what there is.

        Raises:
            UsageError: No converter has an option of that name, or a bad value.
        """
        if not self.recipe.conversion:
            return
        converters = self.host.specs(ConverterSpec)
        known = shared_options(converters)
        if unknown := sorted(set(self.recipe.conversion) - set(known)):
            raise UsageError(
                f"no converter has an option {', '.join(unknown)}", hint=f"there are: {', '.join(known) or 'none'}"
            )
        for spec in converters:
            self._options(spec)
