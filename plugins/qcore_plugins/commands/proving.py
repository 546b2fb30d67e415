"""What `qcore quantize` proves of a file before it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from qcore.plugin import CheckFailed, MissingDependency, NoRoute, UsageError, counted
from qcore_kit import machine
from qcore_kit.abilities import HasReady

if TYPE_CHECKING:
    from qcore.plugin import BackendSpec, Model, Output, Predictor, Run
    from qcore_kit.tuning.target import Target
    from qcore_kit.verification.parity import Parity

FEW = 0.9
"""Part of the layers that were quantized from which on it is worth a warning that they do not run in integers."""


@dataclass
class Proof:
    """Holds written models against their references and the float model, which is compiled once.

    Attributes:
        output: Where notes go.
        run: Of the recipe that quantizes.
        labelled: Inputs of labelled data, which are taken after the first calibration inputs.
        cpu: Kind of CPU to run as where the backend can, one of `machine.CPUS`.
    """

    output: Output
    run: Run
    labelled: Sequence[Any]
    cpu: str = machine.THIS

    @classmethod
    def begun(cls, output: Output, run: Run, cpu: str = machine.THIS) -> Proof:
        """On the calibration inputs, and on those of labelled data where there are any; nothing is read yet.

        Raises:
            UsageError: The labelled data is not of the model's classes.
        """
        return cls(output, run, run.judge.open(run.contract()).items if run.judge else (), cpu)

    @property
    def inputs(self) -> Sequence[Any]:
        """What the preprocessor reads, those of labelled data after the first calibration inputs."""
        from qcore_kit.verification.parity import PARITY_INPUTS

        given = self.run.calibration().items
        return [*given[:PARITY_INPUTS], *self.labelled, *given[PARITY_INPUTS:]]

    def of(self, ended: Run, target: Target, model: Model) -> list[Parity]:
        """On the runtime that the file is for, and on the backend that was asked for where that is another.

        Raises:
            CheckFailed: The file gives something else, or nothing of it runs in integers.
        """
        own = runtime(model, target.backend, ended)
        try:
            done = [self._on(own, ended.begun_at(model), model)]
        except (MissingDependency, NoRoute) as error:
            self.output.note(f"not run on {own.name}: {error.message}")
            return self._instead(own, ended, target, model, error.message)
        if own is not target.backend and target.goal is None:
            done += [self._on(target.backend, ended.begun_at(model), model)]
        _require_integers(done[0], model)
        return [parity for parity in done if parity]

    def _instead(self, own: BackendSpec, ended: Run, target: Target, model: Model, why: str) -> list[Parity]:
        """On another runtime: the file itself, or what the last converter was given."""
        from qcore.plugin import BackendSpec
        from qcore_kit.verification.parity import elsewhere

        plan = ended.plan(target.goal)
        forms = [model.form, *(leg.source for leg in reversed(plan.legs))]
        for form in forms:
            for spec in ended.host.specs(BackendSpec):
                if spec is own or spec.problems() or not any(pattern.accepts(form) for pattern in spec.accepts):
                    continue
                given = model if form == model.form else ended.model(form)
                parity = self._on(spec, ended.begun_at(given), given)
                return [elsewhere(parity, own.name, why)] if parity else []
        return []

    def _on(self, backend: BackendSpec, ended: Run, model: Model) -> Parity | None:
        """The check on one backend, converted to it where need be.

        Raises:
            MissingDependency: Packages or a device that the backend needs are not there.
            NoRoute: No converter leads there.
        """
        from qcore_kit.comparison.saturation import options
        from qcore_kit.verification.parity import prove

        runner = backend.create()
        if isinstance(runner, HasReady):
            runner.ready(backend.typed(backend.settings({})))
        if not any(form.accepts(model.form) for form in backend.accepts):
            model = ended.vary(ended.recipe.float_model().with_backend(backend)).model()
        return prove(
            model,
            backend,
            self.inputs,
            plugins=ended.host,
            original=self._original,
            options=backend.settings(options(backend, self.cpu)),
            progress=self.output.progress,
            explain=partial(self._explained, model),
            read=self.run.calibration().read,
        )

    def _explained(self, model: Model, error: CheckFailed, candidate: Predictor) -> CheckFailed:
        """A failure, with the CPU and the layers where saturation explains it."""
        from qcore_kit.comparison.saturation import explaining

        return explaining(error, model, candidate, self.inputs, plugins=self.run.host)

    @cached_property
    def _original(self) -> Predictor | None:
        """The float model as it was loaded, where something runs that."""
        try:
            return self.run.vary(self.run.recipe.float_model()).predictor()
        except (MissingDependency, UsageError) as error:
            self.output.note(f"not held against the float model: {error.message}")
            return None


def runtime(model: Model, backend: BackendSpec, run: Run) -> BackendSpec:
    """The backend whose own profile a model was written for; the given one where there is none."""
    from qcore.plugin import BackendSpec, only

    profile = model.form.profile
    if profile is None:
        return backend
    own = [spec for spec in run.host.specs(BackendSpec) if any(form.profile == profile for form in spec.accepts)]
    chosen = None if backend in own else only(own, what=f"run the profile {profile}", hint="say which with --backend")
    return chosen or backend


def promised(model: Model) -> int:
    """How many layers were quantized, as the rows of `Model.layers` tell."""
    return sum(row.get("quantized") == "yes" for row in model.layers)


def _require_integers(parity: Parity | None, model: Model) -> None:
    """Refuse a file of which the runtime computes no layer in integers.

    Raises:
        CheckFailed: It does not.
    """
    executed = parity.executed if parity else None
    if parity and executed and executed.layers and not executed.integer and promised(model):
        raise CheckFailed(
            f"none of the {counted(executed.layers, 'layer')} with weights runs in integers on {parity.backend}, "
            f"although {promised(model)} were quantized: the file would be slower than float",
            hint="nothing was written; qcore check FILE says what the runtime does not fuse",
        )


def told(parities: Sequence[Parity], model: Model) -> list[str]:
    """Lines for people."""
    lines = []
    for parity in parities:
        where = f"{counted(parity.inputs, 'input')} on {parity.backend}{_as_cpu(parity)}"
        verdict = "parity check" if parity.unproved else "parity check passed"
        lines.append(f"{verdict} on {where}: {parity.summary}")
        if parity.against_float:
            lines.append(f"against the float model: {parity.against_float['summary']}")
        if parity.unproved:
            lines += [f"NOT PROVED: {parity.unproved}", f"  hint: {parity.hint}"]
        if parity.executed:
            lines.append(share(parity))
            lines += [warning] if (warning := slow(parity, model)) else []
    return lines


def _as_cpu(parity: Parity) -> str:
    """Which CPU it ran as, if that is not the one at hand."""
    return f" as a CPU of kind {parity.cpu}" if parity.cpu not in (None, machine.kind()) else ""


def share(parity: Parity) -> str:
    """`57 of 60 layers with weights run in integers on onnxruntime`."""
    assert parity.executed is not None  # noqa: S101 - asked only where the runtime tells
    executed = parity.executed
    return f"{executed.integer} of {counted(executed.layers, 'layer')} with weights run in integers on {parity.backend}"


def slow(parity: Parity, model: Model) -> str:
    """A warning where far fewer layers run in integers than were quantized; empty where that is not so."""
    executed = parity.executed
    if executed is None or executed.integer >= FEW * promised(model):
        return ""
    names = ", ".join(executed.floats[:3]) + (", ..." if len(executed.floats) > 3 else "")
    return (
        f"WARNING: {promised(model)} layers were quantized, but {executed.integer} run in integers on "
        f"{parity.backend}; in float: {names}"
    )
