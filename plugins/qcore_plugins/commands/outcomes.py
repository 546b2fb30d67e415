"""What comes of the inputs of `qcore predict`, one after another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qcore.plugin import FileError
from qcore_kit import recordings

if TYPE_CHECKING:
    from qcore.plugin import Predictor


@dataclass(frozen=True)
class Outcome:
    """One input.

    Attributes:
        part: Index of the single input or recording that it comes from.
        item: The input, or a recording that cannot be opened or ends early.
        raw: The input as it was read; None with an error.
        result: Of the postprocessor; None with an error.
        error: Why it could not be read.
        whole: Whether the error is that of a whole recording, beside its items.
    """

    part: int
    item: Any
    raw: Any = None
    result: Any = None
    error: FileError | None = None
    whole: bool = False


def outcomes(
    predictor: Predictor,
    parts: Sequence[Any],
    *,
    limit: int | None = None,
    stride: int = 1,
    start: tuple[int, int] = (0, 0),
    passed: Callable[[Any], None] = lambda _: None,
) -> Iterator[Outcome]:
    """All inputs in order, errors too.

    Args:
        predictor: What runs them.
        parts: Single inputs and recordings.
        limit: At most so many items of each recording.
        stride: Every so many items of each recording.
        start: Index of the first part, and how many of its items are left out.
        passed: Called with each item that is left out.
    """
    ahead: deque[Outcome] = deque()

    def taken() -> Iterator[Any]:
        first, done = start
        for place in range(first, len(parts)):

            def failed(part: Any, error: FileError, place: int = place) -> None:
                ahead.append(Outcome(place, part, error=error, whole=True))

            for number, item in enumerate(recordings.items([parts[place]], failed, limit=limit, stride=stride)):
                if place == first and number < done:
                    passed(item)
                    continue
                ahead.append(Outcome(place, item))
                yield item

    unread: dict[int, FileError] = {}
    for _, raw, result in predictor.run(taken(), on_error=lambda item, error: unread.__setitem__(id(item), error)):
        while ahead[0].whole:
            yield ahead.popleft()
        one = ahead.popleft()
        yield replace(one, raw=raw, result=result, error=unread.pop(id(one.item), None) if raw is None else None)
    yield from ahead
