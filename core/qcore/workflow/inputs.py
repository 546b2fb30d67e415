"""Calibration data: a deterministic set of inputs, read through the contract's own preprocessor."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from qcore.contract import Contract
from qcore.errors import FileError
from qcore.progress import Skipping
from qcore.protocols import Arrays, Preprocessor, Progress, Session

LIMIT = 512
SEED = 0


@dataclass
class Calibration:
    """Inputs for a quantizer; iterating yields one batch of input tensors by name, each at the model's own shape.

    Attributes:
        items: What was chosen, in order; unreadable ones are taken out by `examine`.
        preprocessor: The same object that prediction and evaluation use.
        contract: The model's; its first input names the tensor and fixes the batch.
        skipped: (item, reason) for what could not be read.
        sha256: Over the contents of all items used, as they were read.
        shape: Of one input tensor.
        judge: Gives the main figure of any session of this model on labelled data; None where there is none.
    """

    items: list[Any]
    preprocessor: Preprocessor
    contract: Contract
    skipped: list[tuple[str, str]] = field(default_factory=list)
    sha256: str = ""
    shape: tuple[int, ...] = ()
    judge: Callable[[Session], float] | None = None

    @classmethod
    def choose(
        cls,
        source: Any,
        *,
        preprocessor: Preprocessor,
        contract: Contract,
        progress: Progress,
        limit: int | None = LIMIT,
        seed: int = SEED,
    ) -> Calibration:
        """Choose and read through a set.

        Args:
            source: Anything that the preprocessor expands: a folder, a file, a file that names inputs, an iterable.
            preprocessor: Configured by the contract.
            contract: The model's.
            progress: Where to say what was skipped.
            limit: At most this many, drawn with `seed` from the sorted list; None for all.
            seed: Of the draw.

        Raises:
            FileError: Nothing readable is there.
        """
        items = list(preprocessor.expand(source))
        if limit is not None and len(items) > limit:
            chosen = sorted(random.Random(seed).sample(range(len(items)), limit))  # noqa: S311 - no secret
            items = [items[index] for index in chosen]
        made = cls(items, preprocessor, contract)
        made.examine(source, progress)
        return made

    def examine(self, source: Any, progress: Progress) -> None:
        """Read every item once: take out what is unreadable, hash the rest."""
        digest, good, skipping = hashlib.sha256(), [], Skipping(progress)
        for item in progress.track(self.items, "reading calibration inputs", len(self.items)):
            try:
                raw = self.preprocessor.read(item)
            except FileError as error:
                self.skipped.append((str(item), error.message))
                skipping.say(error.message)
                continue
            digest.update(memoryview(raw).cast("B") if raw.flags["C_CONTIGUOUS"] else raw.tobytes())
            good.append(item)
            if not self.shape:
                self.shape = tuple(int(size) for size in self.preprocessor(raw)[0].shape)
        skipping.end()
        if not good:
            raise FileError(
                f"{source}: nothing readable to calibrate with ({len(self.skipped)} unreadable)",
                hint="--calib takes a folder of pictures like those the model will see; a few hundred are enough",
            )
        self.items, self.sha256 = good, digest.hexdigest()

    def __len__(self) -> int:
        """Number of batches."""
        return math.ceil(len(self.items) / self._batch)

    def __iter__(self) -> Iterator[Arrays]:
        """Batches of the contract's own size; a last one that is not full is filled up from the start."""
        size = self._batch
        for start in range(0, self.count, size):
            yield self.take([(start + offset) % self.count for offset in range(size)])

    @property
    def count(self) -> int:
        """Number of inputs."""
        return len(self.items)

    def take(self, places: Sequence[int]) -> Arrays:
        """The inputs at those places as one batch, of any size."""
        import numpy

        tensors = [self.preprocessor(self.preprocessor.read(self.items[place]))[0] for place in places]
        return {self.contract.inputs[0].name: tensors[0] if len(tensors) == 1 else numpy.concatenate(tensors)}

    @property
    def _batch(self) -> int:
        size = self.contract.inputs[0].shape[0]
        return size if isinstance(size, int) else 1

    def provenance(self) -> dict[str, Any]:
        """What the contract keeps of it."""
        return {"sha256": self.sha256, "pictures": len(self.items), "shape": list(self.shape)}
