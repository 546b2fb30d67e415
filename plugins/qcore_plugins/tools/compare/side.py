"""One of the two models: loaded, compiled, and run with everything in between kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from qcore.plugin import Arrays, Contract, Form, Pipeline, Predictor, Seen, batch_size, run_seen, stack
from qcore_kit.comparison.saturation import options
from qcore_kit.machine import THIS


@dataclass(frozen=True)
class Side:
    """A model under comparison.

    Attributes:
        name: What to call it: the file, as it was given.
        pipeline: Loaded, at what its backend runs.
        predictor: Compiled.
    """

    name: str
    pipeline: Pipeline
    predictor: Predictor

    @classmethod
    def build(cls, name: str, pipeline: Pipeline, cpu: str = THIS) -> Side:
        """Load and compile, to compute as a kind of CPU if the backend can; errors as in `Pipeline.build`."""
        this = pipeline.load()
        if this.backend is None:
            this = this.to(this.default_backend())
        assert this.backend is not None  # noqa: S101 - set above
        this = replace(this, backend_options={**this.backend_options, **options(this.backend, cpu)})
        this = replace(this, loaded=this.model(), quantization=None, head=None, precision=None, target=None)
        return cls(name, this, this.build())

    @property
    def contract(self) -> Contract:
        """As it lies in the file, without what a protocol or flags change."""
        assert self.pipeline.loaded is not None  # noqa: S101 - build() has loaded it
        return self.pipeline.loaded.contract

    @property
    def form(self) -> Form:
        """What runs."""
        assert self.pipeline.loaded is not None  # noqa: S101 - build() has loaded it
        return self.pipeline.loaded.form

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

    def run(self, raws: Sequence[Any]) -> Iterator[Seen]:
        """Run inputs as they were read, in batches of the contract's size."""
        yield from run_seen(self.predictor, raws)
