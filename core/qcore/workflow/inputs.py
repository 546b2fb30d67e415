"""Inputs: a deterministic set of them for calibration, joined to batches and cut apart by the names of tensors."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qcore.contract import Contract, Tensor
from qcore.errors import FileError, UsageError
from qcore.progress import Skipping
from qcore.protocols import Arrays, Digests, Preprocessor, Progress, Session

LIMIT = 512
SEED = 0


def batch_size(tensors: Sequence[Tensor], free: int = 1) -> int:
    """How many inputs a model takes at a time.

    Args:
        tensors: Its inputs.
        free: Where their batch is free.

    Raises:
        UsageError: Two inputs say different numbers.
    """
    sizes = {
        tensor.name: 1 if tensor.batch is None else tensor.shape[tensor.batch]
        for tensor in tensors
        if tensor.batch is None or tensor.shape
    }
    fixed = {name: size for name, size in sizes.items() if isinstance(size, int)}
    if len(set(fixed.values())) > 1:
        (one, size), (other, another) = sorted(fixed.items(), key=lambda pair: pair[1])[:: len(fixed) - 1]
        raise UsageError(f"input {one} takes {size} at a time, input {other} {another}", hint="mend the contract")
    return next(iter(fixed.values()), free)


def stack(inputs: Sequence[Arrays], tensors: Sequence[Tensor], size: int | None = None) -> dict[str, Any]:
    """Single inputs as one batch: each tensor along its own axis, in the order given.

    Args:
        inputs: Arrays by name, 1 along the batch axis, as in `Prepared`.
        tensors: The model's inputs.
        size: Of the batch; the last input is repeated up to it.

    Raises:
        UsageError: Arrays of one batch have different shapes, a tensor is missing, or one that has no batch is given
            several inputs.
    """
    import numpy

    batch: dict[str, Any] = {}
    for tensor in tensors:
        if missing := [one for one in inputs if tensor.name not in one]:
            raise UsageError(f"the preprocessing gives {', '.join(missing[0])}, the model takes {tensor.name} too")
        arrays = [one[tensor.name] for one in inputs]
        if tensor.batch is not None:
            arrays += [arrays[-1]] * ((size or 0) - len(arrays))
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1:
            listed = " and ".join(str(list(shape)) for shape in sorted(shapes)[:2])
            raise UsageError(
                f"inputs of one batch have different shapes: {tensor.name} {listed}",
                hint="leave --rect out, or use a batch of one",
            )
        if tensor.batch is None and len(arrays) > 1:
            raise UsageError(
                f"input {tensor.name} holds one input, {len(arrays)} were given", hint="use a batch of one"
            )
        batch[tensor.name] = arrays[0] if len(arrays) == 1 else numpy.concatenate(arrays, axis=tensor.batch)
    return batch


def cut(batch: Arrays, tensors: Sequence[Tensor], count: int, start: int = 0) -> dict[str, Any]:
    """The part of a batch that belongs to `count` inputs from `start` on; of tensors without a batch, all."""
    axes = {tensor.name: tensor.batch for tensor in tensors}
    part: dict[str, Any] = {}
    for name, array in batch.items():
        axis = axes.get(name, 0)
        whole = axis is None or array.ndim <= axis or (start == 0 and array.shape[axis] <= count)
        part[name] = array if whole else array[(slice(None),) * (axis or 0) + (slice(start, start + count),)]
    return part


def split(batch: Arrays, tensors: Sequence[Tensor], count: int) -> list[dict[str, Any]]:
    """The inverse of `stack`, of outputs too: the arrays of each of the first `count` inputs."""
    return [cut(batch, tensors, 1, place) for place in range(count)]


def digested(raw: Any) -> Iterator[Any]:
    """The bytes of an input as it was read: arrays, bytes, text, numbers, and mappings and sequences of those."""
    if hasattr(raw, "flags") and hasattr(raw, "tobytes"):
        yield memoryview(raw).cast("B") if raw.flags["C_CONTIGUOUS"] and raw.size else raw.tobytes()
    elif isinstance(raw, bytes | bytearray | memoryview):
        yield bytes(raw)
    elif isinstance(raw, Mapping):
        for key in sorted(raw, key=str):
            yield str(key).encode()
            yield from digested(raw[key])
    elif isinstance(raw, Sequence) and not isinstance(raw, str):
        for part in raw:
            yield from digested(part)
    else:
        yield str(raw).encode()


@dataclass
class Calibration:
    """Inputs for a quantizer; iterating yields one batch of input tensors by name, each at the model's own shape.

    Attributes:
        items: What was chosen, in order; unreadable ones are taken out by `examine`.
        preprocessor: The same object that prediction and evaluation use.
        contract: The model's; its inputs name the tensors and fix the batch.
        skipped: (item, reason) for what could not be read.
        sha256: Over the contents of all items used, as they were read.
        shapes: Of the tensors of one input, by name.
        judge: Gives the main figure of any session of this model on labelled data; None where there is none.
    """

    items: list[Any]
    preprocessor: Preprocessor
    contract: Contract
    skipped: list[tuple[str, str]] = field(default_factory=list)
    sha256: str = ""
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
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
            own = self.preprocessor.digest(raw) if isinstance(self.preprocessor, Digests) else None
            for part in digested(raw) if own is None else [own]:
                digest.update(part)
            good.append(item)
            if not self.shapes:
                arrays = self.preprocessor.prepare(raw).arrays
                self.shapes = {name: tuple(int(size) for size in array.shape) for name, array in arrays.items()}
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
        inputs = [self.preprocessor.prepare(self.preprocessor.read(self.items[place])).arrays for place in places]
        return stack(inputs, self.contract.inputs)

    @property
    def _batch(self) -> int:
        return batch_size(self.contract.inputs)

    def provenance(self) -> dict[str, Any]:
        """What the contract keeps of it."""
        shapes = {name: list(shape) for name, shape in self.shapes.items()}
        first = next(iter(shapes.values()), [])
        more = {"shapes": shapes} if len(shapes) > 1 else {}
        return {"sha256": self.sha256, "pictures": len(self.items), "shape": first, **more}
