"""Checks of what stands before and after a model: preprocessors and postprocessors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from qcore.contract import Tensor
from qcore.protocols import Arrays, Postprocessor, Prepared, Preprocessor
from qcore.testing.conformance import Conformance, NeedsExample
from qcore.words import plain


class PreprocessorConformance(Conformance):
    """Checks of a preprocessor; `tensors` and `item` are its examples.

    Attributes:
        params: Parameters, as in a contract.
    """

    kind: ClassVar[str] = "preprocessor"
    protocol: ClassVar[Any] = Preprocessor
    configured: ClassVar[bool] = True
    params: ClassVar[Mapping[str, Any]] = {}

    def tensors(self) -> Sequence[Tensor]:
        """Inputs of a contract that it prepares for."""
        raise NeedsExample(f"override tensors(): the inputs of a contract that preprocessor {self.component} serves")

    def item(self, folder: Path) -> Any:
        """One input that it reads, such as the path of a file in `folder`."""
        raise NeedsExample(f"override item(folder): an input that preprocessor {self.component} reads")

    def odd(self) -> Sequence[Any]:
        """Raw inputs of unusual sizes, such as an empty and a huge one, as `read` gives them."""
        return []

    def test_an_input_expands_to_itself(self, tmp_path: Path) -> None:
        """`expand` of one input gives that one, in the same order each time."""
        preprocessor = self._ready()
        item = self.item(tmp_path)
        first, second = list(preprocessor.expand(item)), list(preprocessor.expand(item))
        if len(first) != 1 or list(map(str, first)) != list(map(str, second)):
            self.fail(f"expand of one input gives {first!r}, then {second!r}", "give the same list each time")

    def test_tensors_are_those_of_the_contract(self, tmp_path: Path) -> None:
        """Each tensor by name, of its type and shape, 1 along the batch axis; numbers only."""
        preprocessor = self._ready()
        prepared = preprocessor.prepare(preprocessor.read(self.item(tmp_path)))
        if not isinstance(prepared, Prepared):
            self.fail(f"prepare gives {type(prepared).__name__}", "give a qcore.plugin.Prepared")
        self._require_tensors(prepared)

    def test_preparing_leaves_the_input_alone(self, tmp_path: Path) -> None:
        """What was read is the same afterwards, and so is the file."""
        preprocessor = self._ready()
        item = self.item(tmp_path)
        before = Path(item).read_bytes() if isinstance(item, str | Path) and Path(item).is_file() else None
        raw = preprocessor.read(item)
        kept = repr(plain(raw))
        preprocessor.prepare(raw)
        if repr(plain(raw)) != kept:
            self.fail("prepare changes the input that it was given", "copy before writing")
        if before is not None and Path(item).read_bytes() != before:
            self.fail("reading changes the file", "open it for reading only")

    def test_the_same_input_gives_the_same_tensors(self, tmp_path: Path) -> None:
        """Preparing is deterministic; calibration, parity and users see the same numbers."""
        item = self.item(tmp_path)
        one, other = (each.prepare(each.read(item)) for each in (self._ready(), self._ready()))
        if any(not np.array_equal(values, other.arrays[name]) for name, values in one.arrays.items()):
            self.fail("one input gives different tensors", "leave out what is random")

    def test_unreadable_inputs_are_named(self, tmp_path: Path) -> None:
        """A file that is missing, empty or damaged is an error that names it."""
        if not isinstance(self.item(tmp_path), str | Path):
            return
        suffix = Path(self.item(tmp_path)).suffix
        empty, damaged, missing = (tmp_path / f"{name}{suffix}" for name in ("empty", "damaged", "missing"))
        empty.write_bytes(b"")
        damaged.write_bytes(b"\x00damaged\xff" * 8)
        preprocessor = self._ready()
        for file in (empty, damaged, missing):
            if (
                self.refused(f"a file that is {file.stem}", partial(preprocessor.read, file), name=file.name)
                is not None
            ):
                self.fail(f"a file that is {file.stem} is read", "raise a FileError that names it")

    def test_unusual_sizes_are_prepared_or_refused(self) -> None:
        """Inputs of `odd` give tensors as the contract says, or an error for users."""
        preprocessor = self._ready()
        for raw in self.odd():
            prepared = self.refused("an input of an unusual size", partial(preprocessor.prepare, raw))
            if prepared is not None:
                self._require_tensors(prepared)

    def _ready(self) -> Any:
        return self.made(self.params, tuple(self.tensors()))

    def _require_tensors(self, prepared: Prepared) -> None:
        for tensor in self.tensors():
            if tensor.name not in prepared.arrays:
                self.fail(f"tensor {tensor.name} is missing", "fill every input of the contract")
            values = prepared.arrays[tensor.name]
            wanted = [1 if place == tensor.batch else size for place, size in enumerate(tensor.shape)]
            fits = len(wanted) == len(values.shape) and all(
                got == size for got, size in zip(values.shape, wanted, strict=True) if isinstance(size, int)
            )
            if not fits or str(values.dtype) != tensor.dtype:
                self.fail(
                    f"tensor {tensor.name} is {values.dtype} {list(values.shape)}",
                    f"it has to be {tensor.dtype} {wanted}",
                )
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                self.fail(
                    f"tensor {tensor.name} holds values that are no numbers", "refuse such inputs with a FileError"
                )


class PostprocessorConformance(Conformance):
    """Checks of a postprocessor; `tensors` and `outputs` are its examples.

    Attributes:
        params: Parameters, as in a contract.
        classes: Class names.
    """

    kind: ClassVar[str] = "postprocessor"
    protocol: ClassVar[Any] = Postprocessor
    configured: ClassVar[bool] = True
    params: ClassVar[Mapping[str, Any]] = {}
    classes: ClassVar[Sequence[str]] = ("one", "two")

    def tensors(self) -> Sequence[Tensor]:
        """Outputs of a contract that it reads."""
        raise NeedsExample(f"override tensors(): the outputs of a contract that postprocessor {self.component} reads")

    def outputs(self, seed: int) -> Arrays:
        """Outputs for one input, 1 along the batch axis, other ones for another seed; there is something to find."""
        raise NeedsExample(f"override outputs(seed): arrays for postprocessor {self.component}")

    def context(self) -> Any:
        """What the preprocessor gave along with the input."""
        return None

    def nothing(self) -> Arrays:
        """Outputs in which there is nothing to find; zeros by default."""
        return {name: np.zeros_like(values) for name, values in self.outputs(0).items()}

    def test_each_input_has_one_result(self) -> None:
        """As many results as contexts, also where nothing is found."""
        postprocessor = self._ready()
        for outputs in (self.outputs(0), self.nothing()):
            if (count := len(list(postprocessor(outputs, [self.context()])))) != 1:
                self.fail(f"{count} results for one input", "give one for each context, an empty one for nothing")

    def test_the_order_of_a_batch_is_kept(self) -> None:
        """Two inputs together give the results of each alone, in their order."""
        postprocessor = self._ready()
        one, other = self.outputs(0), self.outputs(1)
        alone = [told(next(iter(postprocessor(each, [self.context()])))) for each in (one, other)]
        if alone[0] == alone[1]:
            self.fail(
                "outputs(0) and outputs(1) give equal results", "make outputs(seed) differ, so that order can be seen"
            )
        for first, second, expected in ((one, other, alone), (other, one, alone[::-1])):
            joined = {
                tensor.name: np.concatenate([first[tensor.name], second[tensor.name]], axis=tensor.batch or 0)
                for tensor in self.tensors()
            }
            if [told(result) for result in postprocessor(joined, [self.context()] * 2)] != expected:
                self.fail("a batch gives other results than its inputs alone", "treat each element by itself")

    def test_outputs_are_left_alone(self) -> None:
        """Reading the outputs does not change them."""
        outputs = self.outputs(0)
        kept = {name: np.array(values) for name, values in outputs.items()}
        list(self._ready()(outputs, [self.context()]))
        if any(not np.array_equal(values, outputs[name]) for name, values in kept.items()):
            self.fail("it changes the outputs that it reads", "copy before writing")

    def test_values_that_are_no_numbers_are_not_results(self) -> None:
        """Outputs of NaN give nothing, or an error for users."""
        outputs = {
            name: np.full_like(values, np.nan) if values.dtype.kind == "f" else values
            for name, values in self.outputs(0).items()
        }
        results = self.refused("outputs of NaN", lambda: list(self._ready()(outputs, [self.context()])))
        if results and "nan" in repr(results[0]).lower():
            self.fail("NaN in the outputs is NaN in the results", "drop values that are no numbers")

    def test_noise_is_survived(self) -> None:
        """Random outputs, in which thousands may be found, give one result."""
        chance = np.random.default_rng(0)
        outputs = {
            name: chance.normal(scale=8, size=values.shape).astype(values.dtype)
            for name, values in self.outputs(0).items()
        }
        results = self.refused("random outputs", lambda: list(self._ready()(outputs, [self.context()])))
        if results is not None and len(results) != 1:
            self.fail(f"{len(results)} results for one input", "give one for each context")

    def _ready(self) -> Any:
        return self.made(self.params, tuple(self.tensors()), tuple(self.classes))


def told(result: Any) -> str:
    """A result as text: equal for equal results, whatever they are made of."""
    return repr(plain(result))
