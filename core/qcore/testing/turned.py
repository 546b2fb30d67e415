"""Checks of what turns models into others and runs them: converters, quantizers, backends."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from qcore.contract import Tensor
from qcore.forms import Form
from qcore.host.specs import BackendSpec
from qcore.model import Model
from qcore.progress import Silent
from qcore.protocols import Arrays, Backend, Converter, Quantizer
from qcore.testing.conformance import Conformance, NeedsExample
from qcore.testing.fakes import CalibrationInputs
from qcore.testing.read import require_contract
from qcore.workflow.inputs import stack
from qcore.workflow.sessions import compiled

SIZES = {"batch": 1}
"""Of dynamic dimensions in inputs that are made up; others are 8."""
RUNS = 8
"""Of each thread."""
FAR = 1e4
"""Times what was calibrated: every scale is exceeded."""


class ConverterConformance(Conformance):
    """Checks of a converter; `model` is its example."""

    kind: ClassVar[str] = "converter"
    protocol: ClassVar[Any] = Converter

    def model(self, folder: Path) -> Model:
        """A small model of a form that the converter accepts."""
        raise NeedsExample(f"override model(folder): a small model that {self.kind} {self.component} accepts")

    def test_the_result_has_the_declared_form(self, tmp_path: Path) -> None:
        """What `produces` says, and fields that it leaves open as they were."""
        model = self.model(tmp_path)
        self._accepted(model)
        result = self._converted(model)
        if not self.spec.produces.accepts(result.form):
            self.fail(f"the result has the form {result.form}, declared is {self.spec.produces}", "correct one of them")
        require_contract(self, result.contract)

    def test_the_classes_and_the_task_stay(self, tmp_path: Path) -> None:
        """The contract goes along: a converter changes tensors at most."""
        model = self.model(tmp_path)
        before, after = model.contract, self._converted(model).contract
        if (before.task, before.classes) != (after.task, after.classes):
            self.fail("task or classes are others after conversion", "make the contract with dataclasses.replace")

    def test_the_model_it_was_given_stays(self, tmp_path: Path) -> None:
        """Converting once more gives the same: nothing was changed in place."""
        model = self.model(tmp_path)
        form, contract = model.form, model.contract.to_json()
        first = self._converted(model)
        second = self._converted(model)
        if (model.form, model.contract.to_json()) != (form, contract):
            self.fail("it changed the model that it was given", "work on a copy, and give model.evolve(...)")
        if first.contract.to_json() != second.contract.to_json() or first.form != second.form:
            self.fail("converting one model twice gives two results", "leave the model as it is, and times out of it")

    def _accepted(self, model: Model) -> None:
        if not any(form.accepts(model.form) for form in self.spec.accepts):
            self.fail(f"its example has the form {model.form}, which it does not accept", "correct model(folder)")

    def _converted(self, model: Model) -> Model:
        spec = self.spec
        result: Model = self.made().convert(model, options=spec.typed(spec.settings({})), progress=Silent())
        return result


class QuantizerConformance(Conformance):
    """Checks of a quantizer; `model` is its example.

    Attributes:
        options: Settings to run it with.
    """

    kind: ClassVar[str] = "quantizer"
    protocol: ClassVar[Any] = Quantizer
    options: ClassVar[dict[str, Any]] = {}
    _known: ClassVar[tuple[Model, Model]]

    def model(self, folder: Path) -> Model:
        """A small float model of a form that the quantizer accepts; the layer that reads the input is quantized."""
        raise NeedsExample(f"override model(folder): a small model that quantizer {self.component} accepts")

    def inputs(self, model: Model) -> Sequence[Arrays]:
        """Calibration inputs; random ones by default."""
        return [made_up(model.contract.inputs, seed) for seed in range(4)]

    def fingerprint(self, result: Model) -> Any:
        """What two results are compared by: their layers, or what represents the module; without what is only told."""
        return [dict(row) for row in result.layers] or repr(result.module)

    def written(self, result: Model) -> Model:
        """The result in a form that a backend runs, with its layers; as it is by default."""
        return result

    def test_the_contract_is_kept(self, tmp_path: Path) -> None:
        """Form as declared; tensors, classes and task as before."""
        model, result = self._base(tmp_path)
        if not self.spec.produces.accepts(result.form):
            self.fail(f"the result has the form {result.form}, declared is {self.spec.produces}", "correct one of them")
        before, after = model.contract, result.contract
        if (before.inputs, before.outputs, before.classes, before.task) != (
            after.inputs, after.outputs, after.classes, after.task,
        ):  # fmt: skip
            self.fail("inputs, outputs, classes or task are others afterwards", "keep the contract of the float model")

    def test_the_same_inputs_give_the_same_result(self, tmp_path: Path) -> None:
        """Quantizing is deterministic."""
        model, result = self._base(tmp_path)
        if self.fingerprint(self._quantized(model)) != self.fingerprint(result):
            self.fail("two runs give different results", "seed what is random, and sort what has no order")

    def test_the_order_of_the_inputs_does_not_matter(self, tmp_path: Path) -> None:
        """Calibration data are a set."""
        model, result = self._base(tmp_path)
        if self.fingerprint(self._quantized(model, list(self.inputs(model))[::-1])) != self.fingerprint(result):
            self.fail("calibration inputs in another order give another result", "collect what no order changes")

    def test_scales_do_not_follow_the_input(self, tmp_path: Path) -> None:
        """What lies far outside all that was calibrated is cut off: twice as far gives the same outputs."""
        model, result = self._base(tmp_path)
        written = self.written(result)
        fitting = [spec for spec in self.host.specs(BackendSpec) if _takes(spec, written.form) and not spec.problems()]
        if not fitting:
            raise NeedsExample(f"override written(result): {written.form} is a form that no installed backend runs")
        session = compiled(fitting[0], written)
        far, farther = (
            session.run(
                {name: (values * factor).astype(values.dtype) for name, values in self.inputs(model)[0].items()}
            )
            for factor in (FAR, 2 * FAR)
        )
        if not _close(far, farther, 0):
            self.fail("the outputs grow with the input: its scale is computed at run time", "write scales as constants")

    def test_layers_that_are_excluded_stay_float(self, tmp_path: Path) -> None:
        """With the option `exclude`, a layer of `Model.layers` is not quantized."""
        if "exclude" not in {option.name for option in self.spec.options}:
            return
        model, result = self._base(tmp_path)
        whole = self.written(result).layers
        if not whole:
            self.fail("it has an option exclude, but its model lists no layers", "fill Model.layers")
        name = str(whole[0]["layer"])
        left = {str(row["layer"]): row for row in self.written(self._quantized(model, exclude=(name,))).layers}
        if left.get(name) == whole[0]:
            self.fail(f"layer {name} is excluded and quantized all the same", "obey the option exclude")

    def _base(self, folder: Path) -> tuple[Model, Model]:
        """The example and its result, made once for all checks of a class."""
        if "_known" not in vars(type(self)):
            model = self.model(folder)
            type(self)._known = (model, self._quantized(model))
        return type(self)._known

    def _quantized(self, model: Model, inputs: Sequence[Arrays] | None = None, **options: Any) -> Model:
        spec = self.spec
        settings = spec.typed(spec.settings({**self.options, **options}))
        data = CalibrationInputs(self.inputs(model) if inputs is None else inputs, model.contract)
        result: Model = self.made().quantize(model, calibration=data, options=settings, progress=Silent())
        return result


class BackendConformance(Conformance):
    """Checks of a backend; `model` is its example.

    Attributes:
        tolerance: Largest difference from `expected`.
    """

    kind: ClassVar[str] = "backend"
    protocol: ClassVar[Any] = Backend
    tolerance: ClassVar[float] = 1e-4

    def model(self, folder: Path) -> Model:
        """A small model of a form that the backend accepts, with a contract."""
        raise NeedsExample(f"override model(folder): a small model that backend {self.component} runs")

    def inputs(self, model: Model) -> Arrays:
        """One input; random by default."""
        return made_up(model.contract.inputs, 0)

    def expected(self, model: Model, inputs: Arrays) -> Arrays:
        """The outputs, computed by other means; by default another installed backend that runs the same form."""
        others = [
            spec
            for spec in self.host.specs(BackendSpec)
            if spec.qualified != self.spec.qualified and not spec.problems() and _takes(spec, model.form)
        ]
        if not others:
            raise NeedsExample(f"override expected(model, inputs): the outputs of the example of {self.component}")
        return compiled(others[0], model).run(dict(inputs))

    def test_outputs_are_those_of_the_contract(self, tmp_path: Path) -> None:
        """Names, shapes and types; and an executed precision in words."""
        model = self.model(tmp_path)
        session = self._session(model)
        session.run(dict(self.inputs(model)))
        if not isinstance(session.executed_precision, str) or not session.executed_precision.strip():
            self.fail("executed_precision is empty", "say what it computes in, e.g. f32")

    def test_outputs_equal_the_reference(self, tmp_path: Path) -> None:
        """Within `tolerance` of what another implementation gives."""
        model = self.model(tmp_path)
        inputs = self.inputs(model)
        got, expected = self._session(model).run(dict(inputs)), self.expected(model, inputs)
        for name, values in expected.items():
            apart = float(np.max(np.abs(np.asarray(got[name], np.float64) - values))) if values.size else 0.0
            if not apart <= self.tolerance:
                self.fail(f"output {name} is {apart:.2e} from the reference", f"at most {self.tolerance:g} is allowed")

    def test_a_batch_is_its_inputs_side_by_side(self, tmp_path: Path) -> None:
        """Where the batch is free, two inputs at once give what each gives alone."""
        model = self.model(tmp_path)
        tensors = model.contract.inputs
        if any(tensor.batch is None or isinstance(tensor.shape[tensor.batch], int) for tensor in tensors):
            return
        session = self._session(model)
        alone = [made_up(tensors, seed) for seed in range(2)]
        both = session.run(stack(alone, tensors))
        for tensor in model.contract.outputs:
            single = [session.run(dict(each))[tensor.name] for each in alone]
            if not np.allclose(both[tensor.name], np.concatenate(single, axis=tensor.batch or 0), atol=self.tolerance):
                self.fail(f"output {tensor.name} of a batch is not that of its inputs", "keep inputs apart")

    def test_several_threads_can_run_it(self, tmp_path: Path) -> None:
        """Four threads on one session get what one gets."""
        model = self.model(tmp_path)
        session = self._session(model)
        inputs = [dict(made_up(model.contract.inputs, seed)) for seed in range(4)]
        alone = [_copied(session.run(each)) for each in inputs]

        def many(each: Arrays) -> list[Arrays]:
            return [_copied(session.run(each)) for _ in range(RUNS)]

        with ThreadPoolExecutor(4) as pool:
            for expected, runs in zip(alone, pool.map(many, inputs), strict=True):
                if not all(_close(expected, run, self.tolerance) for run in runs):
                    self.fail("threads get each other's results", "lock the session, or give each call its own buffers")

    def test_inputs_and_earlier_outputs_stay(self, tmp_path: Path) -> None:
        """A run changes neither what it was given nor what an earlier run gave."""
        model = self.model(tmp_path)
        session = self._session(model)
        first, second = (dict(made_up(model.contract.inputs, seed)) for seed in range(2))
        kept = _copied(first)
        outputs = session.run(first)
        earlier = _copied(outputs)
        session.run(second)
        if not _close(first, kept, 0):
            self.fail("run changes its inputs", "copy what is written to")
        if not _close(outputs, earlier, 0):
            self.fail("the next run overwrites the outputs of the last", "return copies of the runtime's buffers")

    def test_wrong_inputs_are_refused(self, tmp_path: Path) -> None:
        """A missing tensor and one of another rank raise, and do not compute."""
        model = self.model(tmp_path)
        session = self._session(model)
        inputs = dict(self.inputs(model))
        name = next(iter(inputs))
        faulty = {
            f"input {name} missing": {key: value for key, value in inputs.items() if key != name},
            f"input {name} with one more axis": {**inputs, name: inputs[name][None]},
        }
        for doing, given in faulty.items():
            try:
                session.run(given)
            except Exception:  # noqa: BLE001, S112 - an error is what is wanted here
                continue
            self.fail(f"{doing} is run without an error", "hold inputs against the model before running it")

    def test_a_session_gives_its_memory_back(self, tmp_path: Path) -> None:
        """A session that nobody holds is freed."""
        model = self.model(tmp_path)
        spec = self.spec
        session = self.made().compile(model, options=spec.typed(spec.settings({})))
        session.run(dict(self.inputs(model)))
        alive = weakref.ref(session)
        del session
        gc.collect()
        if alive() is not None:
            self.fail("a session lives on when nobody holds it", "keep no sessions in lists, caches or globals")

    def _session(self, model: Model) -> Any:
        self.made()
        return compiled(self.spec, model)


def made_up(tensors: Sequence[Tensor], seed: int) -> dict[str, Any]:
    """Random inputs by name: numbers from 0 to 1, or small integers; dynamic dimensions are 1 (`batch`) or 8."""
    chance = np.random.default_rng(seed)
    arrays = {}
    for tensor in tensors:
        shape = [
            1 if place == tensor.batch else size if isinstance(size, int) else SIZES.get(size, 8)
            for place, size in enumerate(tensor.shape)
        ]
        dtype = np.dtype(tensor.dtype)
        values = chance.random(shape) if dtype.kind == "f" else chance.integers(0, 8, shape)
        arrays[tensor.name] = values.astype(dtype)
    return arrays


def _takes(spec: BackendSpec, form: Form) -> bool:
    return any(accepted.accepts(form) for accepted in spec.accepts)


def _copied(arrays: Arrays) -> dict[str, Any]:
    return {name: np.array(value) for name, value in arrays.items()}


def _close(one: Arrays, other: Arrays, tolerance: float) -> bool:
    return set(one) == set(other) and all(
        np.shape(one[name]) == np.shape(other[name]) and np.allclose(one[name], other[name], atol=tolerance, rtol=0)
        for name in one
    )
