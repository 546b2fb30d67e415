"""One of the two models: loaded, compiled, and run with everything in between kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qcore.comparing.saturation import options
from qcore.contract import Contract
from qcore.forms import Form
from qcore.machine import THIS
from qcore.protocols import Arrays
from qcore.workflow.pipelines import Pipeline
from qcore.workflow.predictor import Predictor


@dataclass(frozen=True)
class Seen:
    """One input on its way through a model.

    Attributes:
        tensor: What the preprocessor made of it, batch 1.
        outputs: Of the model, batch 1.
        result: What the postprocessor made of those.
    """

    tensor: Any
    outputs: Mapping[str, Any]
    result: Any


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
        yield from seen(self.predictor, raws)


def seen(predictor: Predictor, raws: Sequence[Any], dynamic: int = 1) -> Iterator[Seen]:
    """Run inputs as they were read, in batches of the contract's size, with everything in between kept.

    Args:
        predictor: Compiled.
        raws: What its reader gave.
        dynamic: Size of the batches if the contract leaves it open.
    """
    sizes = predictor.contract.inputs[0].shape
    size = sizes[0] if sizes and isinstance(sizes[0], int) else dynamic
    for start in range(0, len(raws), size):
        batch = raws[start : start + size]
        inputs, geometries = predictor.prepare(batch, size)
        outputs: Arrays = predictor.session.run(inputs)
        results = predictor.finish(outputs, geometries)
        (tensor,) = inputs.values()
        for place, result in enumerate(results):
            own = {name: value[place : place + 1] for name, value in outputs.items()}
            yield Seen(tensor[place : place + 1], own, result)
