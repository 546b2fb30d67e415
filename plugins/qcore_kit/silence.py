"""Native libraries that print while they read a file: their words do not name it, the error that follows does."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silently() -> Iterator[None]:
    """Nothing reaches the descriptor of standard error; in the main thread only: other threads' lines would be lost."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
