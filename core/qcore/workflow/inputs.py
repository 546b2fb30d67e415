"""Inputs: a deterministic set of them for calibration, joined to batches and cut apart by the names of tensors."""

from __future__ import annotations

import hashlib
import math
import os
import pickle
import random
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle, islice
from tempfile import TemporaryFile
from typing import IO, Any

from qcore.contract import Contract, Tensor
from qcore.errors import FileError, UsageError
from qcore.progress import Skipping
from qcore.protocols import LIMIT, SEED, Arrays, Digests, Preprocessor, Progress, Session

KEPT = 2**31
"""Bytes of inputs, as they were read, that a temporary file holds."""


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

    The first time that they are gone through, or asked for what only their contents tell, what cannot be read is taken
    out and the rest is hashed; a temporary file holds up to `KEPT` bytes of them, so that what is needed again is read
    once.

    Attributes:
        source: What they were chosen from, for messages.
        items: What was chosen, in order; once read, without what cannot be.
        preprocessor: The same object that prediction and evaluation use.
        contract: The model's; its inputs name the tensors and fix the batch.
        progress: Where to say what was skipped.
        skipped: (item, reason) for what could not be read.
        judge: Gives the main figure of any session of this model on labelled data; None where there is none.
    """

    source: Any
    items: list[Any]
    preprocessor: Preprocessor
    contract: Contract
    progress: Progress
    skipped: list[tuple[str, str]] = field(default_factory=list)
    judge: Callable[[Session], float] | None = None
    _known: tuple[str, dict[str, tuple[int, ...]]] | None = None
    _store: IO[bytes] = field(default_factory=lambda: TemporaryFile(buffering=0), repr=False)  # noqa: SIM115
    _places: dict[int, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """The file goes with the object."""
        weakref.finalize(self, self._store.close)

    @classmethod
    def choose(
        cls, source: Any, *, preprocessor: Preprocessor, contract: Contract, progress: Progress,
        limit: int | None = LIMIT, seed: int = SEED,
    ) -> Calibration:  # fmt: skip
        """Choose a set; nothing is read yet.

        Args:
            source: Anything that the preprocessor expands: a folder, a file, a file that names inputs, an iterable.
            preprocessor: Configured by the contract.
            contract: The model's.
            progress: Where to say what was skipped.
            limit: At most this many, drawn with `seed` from the sorted list; None for all.
            seed: Of the draw.

        Raises:
            FileError: Nothing is there.
        """
        items = list(preprocessor.expand(source))
        if limit is not None and len(items) > limit:
            chosen = sorted(random.Random(seed).sample(range(len(items)), limit))  # noqa: S311 - no secret
            items = [items[index] for index in chosen]
        return cls(source, items, preprocessor, contract, progress)

    def examine(self) -> tuple[str, dict[str, tuple[int, ...]]]:
        """Read what has not been read: SHA-256 over all contents, and the shapes of the tensors of one input by name.

        Raises:
            FileError: Nothing is readable.
        """
        if self._known is None:
            for _ in self.progress.track(self._first_pass(), "reading calibration inputs", len(self.items)):
                pass
        assert self._known is not None  # noqa: S101 - the end of the first pass sets it
        return self._known

    def _first_pass(self) -> Iterator[Arrays]:
        """The tensors of each input, while what cannot be read is taken out and the rest is hashed and kept."""
        digest, good, skipped, skipping = hashlib.sha256(), [], [], Skipping(self.progress)
        shapes: dict[str, tuple[int, ...]] = {}
        for item in self.items:
            try:
                raw = self.read(item)
            except FileError as error:
                skipped.append((str(item), error.message))
                skipping.say(error.message)
                continue
            own = self.preprocessor.digest(raw) if isinstance(self.preprocessor, Digests) else None
            for part in digested(raw) if own is None else [own]:
                digest.update(part)
            if own is None and raw is not item:
                self._keep(item, raw)
            good.append(item)
            arrays = self.preprocessor.prepare(raw).arrays
            shapes = shapes or {name: tuple(int(size) for size in array.shape) for name, array in arrays.items()}
            yield arrays
        skipping.end()
        if not good:
            raise FileError(
                f"{self.source}: no readable calibration inputs ({len(skipped)} unreadable)",
                hint="--calib takes a folder of pictures like those the model will see; a few hundred are enough",
            )
        self.items, self.skipped, self._known = good, skipped, (digest.hexdigest(), shapes)

    def read(self, item: Any) -> Any:
        """An input as it is read.

        Raises:
            FileError: It cannot be read.
        """
        if id(item) not in self._places:
            return self.preprocessor.read(item)
        place, size = self._places[id(item)]
        self._store.seek(place)
        return pickle.loads(self._store.read(size))  # noqa: S301 - written below

    def _keep(self, item: Any, raw: Any) -> None:
        place = self._store.seek(0, os.SEEK_END)
        if id(item) not in self._places and place < KEPT:
            data = pickle.dumps(raw, pickle.HIGHEST_PROTOCOL)
            with suppress(OSError):  # no room: it is read again
                if self._store.write(data) == len(data):
                    self._places[id(item)] = place, len(data)

    @property
    def sha256(self) -> str:
        """Over the contents of all inputs, as they were read."""
        return self.examine()[0]

    def __len__(self) -> int:
        """Number of batches; an upper bound until all have been read."""
        return math.ceil(len(self.items) / self._batch)

    def __iter__(self) -> Iterator[Arrays]:
        """Batches of the contract's own size; a last one that is not full is filled up from the start."""
        size, tensors = self._batch, self.contract.inputs
        start: list[Arrays] = []
        batch: list[Arrays] = []
        for arrays in self._first_pass() if self._known is None else map(self._prepared, self.items):
            start += [arrays] if len(start) < size else []
            batch.append(arrays)
            if len(batch) == size:
                yield stack(batch, tensors)
                batch = []
        if batch:
            yield stack([*batch, *islice(cycle(start), size - len(batch))], tensors)

    def _prepared(self, item: Any) -> Arrays:
        return self.preprocessor.prepare(self.read(item)).arrays

    @property
    def count(self) -> int:
        """Number of inputs."""
        self.examine()
        return len(self.items)

    def take(self, places: Sequence[int]) -> Arrays:
        """The inputs at those places as one batch, of any size."""
        self.examine()
        return stack([self._prepared(self.items[place]) for place in places], self.contract.inputs)

    @property
    def _batch(self) -> int:
        return batch_size(self.contract.inputs)

    def provenance(self) -> dict[str, Any]:
        """What the contract keeps of it."""
        sha256, sizes = self.examine()
        shapes = {name: list(shape) for name, shape in sizes.items()}
        first = next(iter(shapes.values()), [])
        more = {"shapes": shapes} if len(shapes) > 1 else {}
        return {"sha256": sha256, "pictures": len(self.items), "shape": first, **more}
