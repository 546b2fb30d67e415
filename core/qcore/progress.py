"""The progress that shows nothing, and saying what is skipped without saying it a thousand times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from qcore.words import counted

if TYPE_CHECKING:
    from qcore.protocols import Progress

T = TypeVar("T")


class Silent:
    """A `Progress` for scripts and `--quiet`; what is said goes to the logger `qcore`."""

    def track(self, items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:  # noqa: ARG002
        """Yield the items."""
        yield from items

    @contextmanager
    def step(self, description: str) -> Iterator[None]:  # noqa: ARG002
        """Nothing."""
        yield

    def say(self, message: str) -> None:
        """Log the message."""
        import logging

        logging.getLogger("qcore").info(message)


class Skipping:
    """Names the first inputs that cannot be read, and counts the others."""

    shown = 5

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._count = 0

    def say(self, message: str) -> None:
        """Name one, unless enough have been named."""
        self._count += 1
        if self._count <= self.shown:
            self._progress.say(f"skipped: {message}")

    def end(self) -> None:
        """Count the others."""
        if self._count > self.shown:
            self._progress.say(f"skipped: {counted(self._count - self.shown, 'more input')} that cannot be read")
