"""Recordings: sources that give their inputs one after another, such as videos, beside single inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from qcore.plugin import FileError

if TYPE_CHECKING:
    from qcore.plugin import Preprocessor


@runtime_checkable
class Recording(Protocol):
    """Inputs that one source gives one after another, such as the frames of a video.

    Each item that it yields has it as its attribute `recording`; `str` of the item, and of the recording, names it.
    Iterating raises FileError where it cannot be opened, and at its end where inputs that it announced did not come.

    Attributes:
        stem: Name for files made of it, without a suffix.
        total: How many items there are, as far as that can be told beforehand.
        rate: Items per second; None where that is not known.
    """

    stem: str
    total: int | None
    rate: float | None

    def __iter__(self) -> Iterator[Any]:
        """The items, one at a time in memory."""


@runtime_checkable
class HasRecording(Protocol):
    """A preprocessor that knows recordings."""

    def recording(self, source: Any) -> Recording | None:
        """The recording that a source, or an item of `expand`, is; None where it is none."""


def parts(preprocessor: Preprocessor, source: Any) -> list[Any]:
    """What a source stands for: single inputs, and recordings."""
    if not isinstance(preprocessor, HasRecording):
        return list(preprocessor.expand(source))
    whole = preprocessor.recording(source)
    if whole is not None:
        return [whole]
    return [
        item if (recording := preprocessor.recording(item)) is None else recording
        for item in preprocessor.expand(source)
    ]


def items(
    parts: Iterable[Any],
    on_error: Callable[[Any, FileError], None] | None = None,
    *,
    limit: int | None = None,
    stride: int = 1,
) -> Iterator[Any]:
    """The single inputs of `parts`.

    Args:
        parts: As the function of that name gives them.
        on_error: Called with a recording that cannot be opened or ends early; by default the error is raised.
        limit: At most so many items of each recording.
        stride: Every so many items of each recording.
    """
    stop = None if limit is None else (limit - 1) * stride + 1
    for part in parts:
        if not isinstance(part, Recording):
            yield part
            continue
        try:
            yield from islice(part, 0, stop, stride)
        except FileError as error:
            if on_error is None:
                raise
            on_error(part, error)


def first(parts: Iterable[Any], limit: int | None) -> list[Any]:
    """At most the first `limit` single inputs, and all recordings: `items` limits each of those."""
    kept: list[Any] = []
    single = 0
    for part in parts:
        if not isinstance(part, Recording):
            single += 1
            if limit is not None and single > limit:
                continue
        kept.append(part)
    return kept


def unrolled(
    preprocessor: Preprocessor, source: Any, on_error: Callable[[Any, FileError], None] | None = None
) -> Iterator[Any]:
    """The single inputs of a source, those of its recordings too; see `qcore.plugin.HasItems`."""
    if isinstance(source, Iterator):
        return items(chain.from_iterable(parts(preprocessor, part) for part in source), on_error)
    return items(parts(preprocessor, source), on_error)
