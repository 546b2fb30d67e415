"""One of the two models: loaded, compiled, and run with everything in between kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from qcore.plugin import Arrays, Contract, Form, Model, Predictor, Run, batch_size, stack
from qcore_kit.comparison.saturation import options
from qcore_kit.machine import THIS
from qcore_kit.verification.raw_outputs import Seen, run_seen


@dataclass(frozen=True)
class Side:
    """A model under comparison.

    Attributes:
        name: What to call it: the file, as it was given.
        run: Begun at the model.
        model: What the backend runs.
        predictor: Compiled.
        takes_flags: Whether a loader read it, so that `--preprocess` changes what it says.
    """

    name: str
    run: Run
    model: Model
    predictor: Predictor
    takes_flags: bool = False

    @classmethod
    def build(cls, name: str, run: Run, cpu: str = THIS) -> Side:
        """Load and compile, to compute as a kind of CPU if the backend can; errors as in `Run.predictor`."""
        backend = run.backend
        settings = {**run.backend_options, **options(backend, cpu)}
        run = run.vary(run.recipe.with_backend(backend, **settings))
        loaded, model = run.model("loaded"), run.model()
        run = run.vary(run.recipe.float_model().with_backend(backend, **settings)).begun_at(model)
        return cls(name, run, model, run.predictor(), "loader" in loaded.notes)

    @property
    def contract(self) -> Contract:
        """As it lies in the file, without what a protocol or flags change."""
        return self.model.contract

    @property
    def form(self) -> Form:
        """What runs."""
        return self.model.form

    @property
    def exactness(self) -> str:
        """`quantized`, `half` or `float`: what may be expected of its numbers."""
        words = str(self.predictor.executed_precision).replace("(", " ").replace(")", " ").split()
        if self.form.encoding != "float" or "int8" in words:
            return "quantized"
        return "half" if {"f16", "bf16"} & {*words, str(self.form.precision)} else "float"

    def fed(self, arrays: Arrays) -> dict[str, Any]:
        """One input's arrays under this model's names, in order where those differ, repeated to the model's batch."""
        tensors = self.contract.inputs
        own = (
            arrays
            if all(tensor.name in arrays for tensor in tensors)
            else dict(zip((tensor.name for tensor in tensors), arrays.values(), strict=False))
        )
        return stack([own], tensors, batch_size(tensors))

    def seen(self, raws: Sequence[Any]) -> Iterator[Seen]:
        """Run inputs as they were read, in batches of the contract's size."""
        yield from run_seen(self.predictor, raws)
