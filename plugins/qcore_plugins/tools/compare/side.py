"""One of the two models: loaded, compiled, and run with everything in between kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qcore.plugin import Contract, Form, Pipeline, Predictor, Seen, run_seen
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

    def fed(self, tensor: Any) -> dict[str, Any]:
        """The inputs by name for a tensor of batch 1, repeated where the model takes more at a time."""
        wanted = self.contract.inputs[0]
        size = wanted.shape[0] if isinstance(wanted.shape[0], int) else 1
        return {wanted.name: np.repeat(tensor, size, 0)}

    def run(self, raws: Sequence[Any]) -> Iterator[Seen]:
        """Run inputs as they were read, in batches of the contract's size."""
        yield from run_seen(self.predictor, raws)
