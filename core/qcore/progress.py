"""The progress that shows nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

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
