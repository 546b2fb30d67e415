"""Verify what a converter makes: its result on a runtime, against what it was given, on an input that is made up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from qcore.plugin import (
    BackendSpec,
    CheckFailed,
    ConverterSpec,
    FileError,
    Form,
    Host,
    MissingDependency,
    Model,
    Predictor,
    Progress,
    Session,
    assembled,
    compiled,
    counted,
    evaluator,
)
from qcore_kit.abilities import HasAgreement, HasExample, HasReady, HasReference
from qcore_kit.verification.quantity import COSINES, SIZE_FACTORS, Quantity
from qcore_kit.verification.raw_outputs import SUPPRESSED, quantities, run_seen

ERRORS = {"float": 0.01, "half": 0.2}
"""Largest error of a value, as a part of the span of all, by what may be expected of the numbers. Measured for YOLOv5n:
1e-6 from ONNX Runtime to OpenVINO, .02 to float16. Integers may be far off at single values: there ranks count."""


@dataclass
class ExampleVerifier:
    """Follows a model along its route; what it compiled of one step serves the next."""

    plugins: Host = field(init=False)
    progress: Progress = field(init=False)
    _last: tuple[Model, Session] | None = field(default=None, repr=False)
    _shown: tuple[Any, Model] | None = field(default=None, repr=False)

    def check(
        self,
        step: ConverterSpec,
        before: Model,
        after: Model,
        *,
        options: Mapping[str, Any],
        host: Host,
        progress: Progress,
    ) -> None:
        """Compare what both give for the example of the preprocessor.

        Nothing is compared where the converter says that it verifies its own result, where the preprocessor makes up
        no example, or where nothing installed runs one of the two.

        Args:
            step: The converter.
            before: What it was given.
            after: What it made of it.
            options: It ran with these.
            host: Where components come from.
            progress: Told what could not be verified.

        Raises:
            CheckFailed: They differ by more than what rounding of their precision does.
            FileError: The runtime that the result is for refuses it.
        """
        self.plugins, self.progress, spec = host, progress, step
        converter = spec.create()
        if getattr(converter, "verifies", False):
            return
        if _suppressed(after):
            before, after = self._showing(spec, before, after, options)
        one = self._session(before, converter.source if isinstance(converter, HasReference) else None)
        if one is None:
            return
        other = self._session(after)
        if other is None:
            self.progress.say(f"{spec.name}: not verified, because no installed backend can run {after.form} here")
            return
        left, right = self._predictor(before, one), self._predictor(after, other)
        faults = list(self._differences(left, right, exactness(before.form, after.form)))
        if faults:
            more = f" (and {counted(len(faults) - 1, 'more difference')})" if len(faults) > 1 else ""
            raise CheckFailed(
                f"{spec.kind} {spec.name}: its result does not match what it was made from: {faults[0]}{more}",
                hint="nothing was written; this is a fault of the converter or of the runtime, please report it",
            )
        self._last = after, other

    def _showing(
        self, spec: ConverterSpec, before: Model, after: Model, options: Mapping[str, Any]
    ) -> tuple[Model, Model]:
        """Both under parameters under which a synthetic input shows results, as what is written goes by them."""
        if self._shown and self._shown[0] is before.module:
            given = self._shown[1]
        elif _suppressed(before):
            return before, after
        else:
            judge = evaluator(before.contract.task, self.plugins).create()
            step = before.contract.postprocess.updated(getattr(judge, "nearly_all", {}))
            given = before.evolve(contract=replace(before.contract, postprocess=step))
        shown: Model = spec.create().convert(given, options=spec.typed(options), progress=self.progress)
        self._shown = after.module, shown
        return given, shown

    def _session(self, model: Model, source: Any = None) -> Session | None:
        """The model on whatever runs it as it is, or as the converter runs what it was given."""
        if self._last and self._last[0].module is model.module:
            return self._last[1]
        able = [
            spec
            for spec in self.plugins.specs(BackendSpec)
            if not spec.problems() and any(form.accepts(model.form) for form in spec.accepts)
        ]
        refused: FileError | None = None
        for spec in sorted(able, key=lambda spec: spec.name not in (model.form.profile, model.form.format)):
            try:
                backend, settings = spec.create(), spec.settings({})
                if isinstance(backend, HasReady):
                    backend.ready(spec.typed(settings))
                return compiled(spec, model, settings)
            except MissingDependency:
                continue
            except FileError as error:
                if model.form.profile in (None, spec.name):
                    refused = refused or error
        if refused:
            raise refused
        session: Session | None = source(model) if source else None
        return session

    def _predictor(self, model: Model, session: Session) -> Predictor:
        return assembled(model.contract, session, str(model.form), plugins=self.plugins)

    def _differences(self, one: Predictor, other: Predictor, exact: str) -> Iterator[str]:
        if not isinstance(one.preprocessor, HasExample):
            return
        raw = one.preprocessor.example()
        (left,), (right,) = (list(run_seen(each, [raw])) for each in (one, other))
        if any(output.stage == SUPPRESSED for output in other.contract.outputs):
            judge = evaluator(one.contract.task, self.plugins).create()
            if isinstance(judge, HasAgreement):
                agreement = judge.agreement([(left.result, right.result)], contract=one.contract)
                yield from () if agreement["agree"] else [agreement["summary"]]
                if agreement["agree"] and not agreement.get("enough", True):
                    self.progress.say("NMS inside the graph: not verified, because a synthetic input gives no results")
            return
        theirs, ours = quantities(one, left), quantities(other, right)
        for name, (value, place) in theirs.items():
            if name not in ours or ours[name][0].shape != value.shape:
                there = list(ours[name][0].shape) if name in ours else "missing"
                yield f"output {name} of shape {list(value.shape)} is {there}"
                continue
            quantity = Quantity()
            quantity.add(value, ours[name][0], place)
            yield from _beyond(name, quantity, exact)


def _suppressed(model: Model) -> bool:
    return any(output.stage == SUPPRESSED for output in model.contract.outputs)


def exactness(*forms: Form) -> str:
    """`quantized`, `half` or `float`: the least exact of some forms."""
    if any(form.encoding not in (None, "float") for form in forms):
        return "quantized"
    return "half" if any(form.precision in ("f16", "bf16") for form in forms) else "float"


def _beyond(name: str, quantity: Quantity, exact: str) -> Iterator[str]:
    """What is more than rounding of a precision does."""
    if exact == "quantized":
        yield from quantity.broken(name)
        return
    sums = quantity.sums
    if not sums.within(exact):
        yield (
            f"{name} have cosine {sums.cosine:.5f} and {sums.size:.3f} times the size, at least {COSINES[exact]:g} and "
            f"at most {SIZE_FACTORS[exact]:g} are expected of {exact} models"
        )
    elif sums.error > ERRORS[exact]:
        yield (
            f"{name} are off by {sums.largest:.3g} at {sums.where.removesuffix(' of ')}, {sums.error:.1%} of their "
            f"span, at most {ERRORS[exact]:.0%} are expected of {exact} models"
        )
