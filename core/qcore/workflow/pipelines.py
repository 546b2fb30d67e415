"""The pipeline: a loader, an optional quantizer and a backend, put together by name or by object."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore.contract import Contract
from qcore.errors import NoRoute, UsageError
from qcore.forms import Form
from qcore.host.choice import only, shared_options
from qcore.host.plugins import Host
from qcore.host.specs import BackendSpec, ConverterSpec, LoaderSpec, PreprocessorSpec, QuantizerSpec, Spec
from qcore.model import Model
from qcore.progress import Silent
from qcore.protocols import Preprocessor, Progress
from qcore.workflow import opening as loading
from qcore.workflow import planner
from qcore.workflow.evaluating import Judge
from qcore.workflow.inputs import LIMIT, SEED, Calibration
from qcore.workflow.planner import Plan
from qcore.workflow.predictor import Predictor, assembled
from qcore.workflow.sessions import compiled, declared

if TYPE_CHECKING:
    from qcore.workflow.verifying import Verifier


@dataclass(frozen=True)
class _Quantization:
    quantizer: QuantizerSpec
    calibration: Any
    options: Mapping[str, Any]
    limit: int | None
    seed: int
    judge: Judge | None = None


@dataclass(frozen=True)
class Pipeline:
    """What is to be done with a model; nothing runs before `model`, `save` or `build`.

    Every method returns a new pipeline, so a common beginning can be continued in several ways.
    """

    plugins: Host
    weights: Path
    loader: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress = field(default_factory=Silent)
    loaded: Model | None = None
    quantization: _Quantization | None = None
    backend: BackendSpec | None = None
    backend_options: Mapping[str, Any] = field(default_factory=dict)
    target: str | None = None
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    protocol: str | None = None
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    head: str | None = None
    precision: str | None = None
    conversion: Mapping[str, Any] = field(default_factory=dict)

    def ending(self, head: str | None) -> Pipeline:
        """Let the result have a head that a converter makes, e.g. `nms`; None leaves the loader's."""
        return replace(self, head=head)

    def computing(self, precision: str | None) -> Pipeline:
        """Let the result compute in a type, as in `Form.precision`; None leaves what the route gives."""
        return replace(self, precision=precision)

    def converting(self, **options: Any) -> Pipeline:
        """Set options of the converters on the way; each takes those that it has.

        Raises:
            UsageError: No converter has an option of that name, or a bad value.
        """
        known = shared_options(self.plugins.specs(ConverterSpec))
        if unknown := sorted(set(options) - set(known)):
            raise UsageError(
                f"no converter has an option {', '.join(unknown)}", hint=f"there are: {', '.join(known) or 'none'}"
            )
        made = replace(self, conversion={**self.conversion, **options})
        for spec in self.plugins.specs(ConverterSpec):
            spec.settings(made._given(spec))
        return made

    def preprocessed(self, **params: Any) -> Pipeline:
        """Change parameters of the preprocessor in the model's contract, for everything that follows and is written.

        For a model that was trained on other pixels than its family's own.
        """
        return replace(self, preprocess={**self.preprocess, **params}, loaded=None)

    def quantize(
        self,
        quantizer: Any,
        *,
        calibration: Any,
        limit: int | None = LIMIT,
        seed: int = SEED,
        judge: Judge | None = None,
        **options: Any,
    ) -> Pipeline:
        """Quantize on the way.

        Args:
            quantizer: Name or object.
            calibration: A folder, or any iterable of inputs or paths; read with the model's own preprocessing.
            limit: At most this many inputs, drawn with `seed`.
            seed: Of the draw.
            judge: Measures intermediate states, for quantizers that choose among some.
            **options: Of the quantizer.
        """
        spec = self.plugins.get(QuantizerSpec, quantizer)
        return replace(
            self,
            quantization=_Quantization(spec, calibration, spec.settings(options), limit, seed, judge),
            loaded=self.loaded,
        )

    def to(self, backend: Any, *, target: str | None = None, **options: Any) -> Pipeline:
        """Run on a backend.

        Args:
            backend: Name or object.
            target: Profile that the quantized graph is written for; the backend's own by default.
            **options: Of the backend.
        """
        spec = self.plugins.get(BackendSpec, backend)
        return replace(self, backend=spec, backend_options=spec.settings(options), target=target)

    def with_params(
        self, *, preprocess: Mapping[str, Any] | None = None, postprocess: Mapping[str, Any] | None = None
    ) -> Pipeline:
        """Change parameters of the pre- or postprocessor at run time; the file's contract stays as it is."""
        merged = {
            "preprocess": {**self.overrides.get("preprocess", {}), **(preprocess or {})},
            "postprocess": {**self.overrides.get("postprocess", {}), **(postprocess or {})},
        }
        return replace(self, overrides=merged)

    def following(self, protocol: str | None) -> Pipeline:
        """Run under a named protocol of the contract instead of its own parameters."""
        return replace(self, protocol=protocol)

    def load(self) -> Pipeline:
        """The same pipeline with its float model loaded, so that several continuations load it once."""
        if self.loaded:
            return self
        with self.progress.step(f"reading {self.weights}"):
            model = loading.load(self.weights, plugins=self.plugins, loader=self.loader, options=self.options)
        if self.preprocess:
            step = model.contract.preprocess.updated(self.preprocess)
            model = model.evolve(contract=replace(model.contract, preprocess=step))
            self.preprocessor(model.contract)
        return replace(self, loaded=model)

    def _begun(self) -> tuple[Pipeline, Model]:
        """The loaded pipeline, and the model it has loaded."""
        this = self.load()
        assert this.loaded is not None  # noqa: S101 - load() has just set it
        return this, this.loaded

    @property
    def _wanted(self) -> _Quantization:
        assert self.quantization is not None  # noqa: S101 - only asked of pipelines that quantize
        return self.quantization

    def at(self, goal: str | Form) -> Pipeline:
        """The same pipeline, begun at its model in another format, so that several continuations convert it once.

        Args:
            goal: The format, e.g. the one that all of them pass.
        """
        return replace(self, loaded=self._plain().model(goal))

    def at_plan(self, goal: str | Form) -> Plan:
        """The route that `at` takes; errors as in `plan`."""
        return self._plain().plan(goal)

    def _plain(self) -> Pipeline:
        return replace(self, quantization=None, backend=None, head=None, precision=None)

    def quantized(self) -> Pipeline:
        """The same pipeline, begun at its model as the quantizer leaves it, so that several backends share one run.

        Raises:
            NoRoute: No converters lead to the quantizer.
        """
        wanted = self._wanted
        this, model = self._begun()
        goal = wanted.quantizer.produces
        plan = replace(this, precision=None)._plan(model.form, goal)
        stop = next(place for place, leg in enumerate(plan.legs) if leg.spec is wanted.quantizer)
        done = this._run(replace(plan, legs=plan.legs[: stop + 1], backend=None))
        return replace(this, loaded=done, quantization=None)

    def unquantized(self) -> Pipeline:
        """The same pipeline without its quantizer and backend."""
        return replace(self, quantization=None, backend=None, target=None)

    def continued(self, model: Model) -> Pipeline:
        """The same pipeline, begun at another model."""
        return replace(self, loaded=model)

    def calibration_items(self) -> list[Any]:
        """The inputs that the quantizer is given, as they are named, not read."""
        wanted = self._wanted
        this, model = self._begun()
        return list(this.preprocessor(model.contract).expand(wanted.calibration))

    def leaving_float(self, layers: Sequence[str]) -> Pipeline:
        """The same pipeline with further layers left float by its quantizer.

        Args:
            layers: Names as in `Model.layers`, or patterns.

        Raises:
            UsageError: The quantizer cannot leave layers float.
        """
        wanted = self._wanted
        more = {"exclude": (*wanted.options.get("exclude", ()), *layers)}
        settings = wanted.quantizer.settings({**wanted.options, **more})
        return replace(self, quantization=replace(wanted, options=settings))

    def inputs(self, source: Any, *, limit: int | None = LIMIT, seed: int = SEED) -> Calibration:
        """Inputs read with the model's own preprocessing; arguments as in `quantize`."""
        this, model = self._begun()
        contract = model.contract
        return Calibration.choose(
            source,
            preprocessor=this.preprocessor(contract),
            contract=contract,
            progress=self.progress,
            limit=limit,
            seed=seed,
        )

    def calibration(self) -> Calibration:
        """The inputs that the quantizer is given."""
        wanted = self._wanted
        return self.inputs(wanted.calibration, limit=wanted.limit, seed=wanted.seed)

    def plan(self, goal: str | Form | None = None) -> Plan:
        """The route that `build` will take, or that leads to a goal as in `model`.

        Opens the file only where its name alone leaves the form open.
        """
        wanted = Form(goal) if isinstance(goal, str) else goal
        return self._plan(self.loaded.form if self.loaded else self.start_form(), wanted)

    def start_form(self) -> Form:
        """The form that loading gives, without reading weights where all loaders of the format agree."""
        spec, made = loading.recognise(self.weights, self.plugins)
        if self.loader is not None:
            return self.plugins.get(LoaderSpec, self.loader).produces
        forms = {loader.produces for loader in self.plugins.specs(LoaderSpec) if loader.format == spec.name}
        if len(forms) == 1 and not spec.suffix:
            return forms.pop()
        return made.form(made.open(self.weights)) if spec.suffix else self.load().plan().start

    def _plan(self, start: Form, goal: Form | None = None) -> Plan:
        return planner.find(
            start,
            converters=self.plugins.specs(ConverterSpec),
            quantizer=self.quantization.quantizer if self.quantization else None,
            backend=None if goal else self.backend,
            goal=goal,
            through=self.target,
            head=self.head,
            precision=self.precision,
        )

    def model(self, goal: str | Form | None = None) -> Model:
        """Run the route and return the model at its end.

        Args:
            goal: A format to end at instead of the backend's own.
        """
        this, _ = self._begun()
        return this._run(this.plan(goal))

    def verified(self, goal: str | Form | None = None) -> Model:
        """Like `model`, with the result of every converter run beside what it was given.

        Raises:
            CheckFailed: They differ by more than rounding does; names the converter, the output and the distance.
        """
        from qcore.workflow.verifying import Verifier

        this, _ = self._begun()
        return this._run(this.plan(goal), Verifier(self.plugins, self.progress))

    def _run(self, plan: Plan, verifier: Verifier | None = None) -> Model:
        plan.require()
        _, model = self._begun()
        for leg in plan.legs:
            if isinstance(leg.spec, QuantizerSpec):
                model = self._quantized(model)
                continue
            with self.progress.step(f"{leg.source.format} to {leg.result.format} ({leg.spec.name})"):
                options = leg.spec.settings(self._given(leg.spec))
                made: Model = leg.spec.create().convert(model, options=leg.spec.typed(options), progress=self.progress)
                made = declared(leg.spec, made, leg.result)
            if verifier and isinstance(leg.spec, ConverterSpec):
                with self.progress.step(f"verifying {leg.spec.name}"):
                    verifier.check(leg.spec, model, made, options)
            model = made
        return model

    def _given(self, spec: Spec[Any]) -> dict[str, Any]:
        """The options set for converters that this one has."""
        shared = shared_options(self.plugins.specs(ConverterSpec))
        names = {option.name: f"{spec.name}.{option.name}" for option in spec.options}
        keys = {name: own if own in shared else name for name, own in names.items()}
        return {name: self.conversion[key] for name, key in keys.items() if key in self.conversion}

    def _quantized(self, model: Model) -> Model:
        wanted = self._wanted
        data = self.continued(model).calibration()
        if wanted.judge is not None:
            data.judge = partial(wanted.judge.session, model)
        done: Model = wanted.quantizer.create().quantize(
            model, calibration=data, options=wanted.quantizer.typed(wanted.options), progress=self.progress
        )
        done = declared(wanted.quantizer, done, wanted.quantizer.produces)
        said = {
            **done.contract.provenance,
            "quantization": {
                "quantizer": wanted.quantizer.name,
                "recipe": dict(wanted.options),
                **dict(done.contract.provenance.get("quantization", {})),
            },
            "calibration": data.provenance(),
        }
        return done.evolve(contract=replace(done.contract, provenance=said))

    def save(self, directory: str | os.PathLike[str], *, goal: str | Form | None = None) -> Path:
        """Write the result into a directory; returns the main file."""
        return self.save_all(directory, goal=goal)[-1]

    def save_all(self, directory: str | os.PathLike[str], *, goal: str | Form | None = None) -> list[Path]:
        """Like `save`, but returns every file written, the main one last."""
        return loading.save(self.verified(goal), directory, self.weights.stem, self.plugins)

    def build(self) -> Predictor:
        """Compile the result on the backend, ready to be called.

        Raises:
            UsageError: No backend was chosen and more than one, or none, runs the model as it is.
        """
        this = self.load()
        if this.backend is None:
            this = this.to(this.default_backend())
        model = this.model()
        assert this.backend is not None  # noqa: S101 - set above
        with self.progress.step(f"compiling for {this.backend.name}"):
            return predictor(
                model,
                this.backend,
                plugins=self.plugins,
                options=this.backend_options,
                protocol=self.protocol,
                overrides=self.overrides,
            )

    def default_backend(self) -> BackendSpec:
        """The backend of a loaded pipeline for which none was chosen.

        Raises:
            UsageError: None runs the model as it is.
        """
        form = self._begun()[1].form
        usable = [spec for spec in self.plugins.specs(BackendSpec) if any(p.accepts(form) for p in spec.accepts)]
        own = [spec for spec in usable if spec.runs == form.format] or usable
        installed = [spec for spec in own if not spec.problems()] or own
        chosen = only(installed, what=f"run {form}", hint="say which with --backend")
        if chosen is None:
            others = ", ".join(spec.name for spec in self.plugins.specs(BackendSpec) if self._leads_to(spec))
            hint = f"choose one with --backend: {others}" if others else "qcore list-plugins --kind backend"
            raise UsageError(f"no backend runs {form} as it is", hint=hint)
        return chosen

    def _leads_to(self, backend: BackendSpec) -> bool:
        try:
            self.to(backend).plan()
        except NoRoute:
            return False
        return True

    def preprocessor(self, contract: Contract) -> Preprocessor:
        """The preprocessor that a contract asks for."""
        made: Preprocessor = self.plugins.get(PreprocessorSpec, contract.preprocess.component).create(
            contract.preprocess.params, contract.inputs
        )
        return made


def predictor(
    model: Model,
    backend: BackendSpec,
    *,
    plugins: Host,
    options: Mapping[str, Any] | None = None,
    protocol: str | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> Predictor:
    """Compile a model and put its contract's pre- and postprocessing around it.

    Args:
        model: In a form that the backend accepts.
        backend: The runtime.
        plugins: Where pre- and postprocessors come from.
        options: Of the backend, already parsed.
        protocol: As in `assembled`.
        overrides: As in `assembled`.

    Raises:
        UsageError: The contract has no protocol of that name.
    """
    session = compiled(backend, model, options)
    return assembled(model.contract, session, backend.name, plugins=plugins, protocol=protocol, overrides=overrides)
