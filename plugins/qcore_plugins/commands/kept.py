"""What an interrupted `qcore predict` keeps: a file beside the results, from which `--resume` continues."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from qcore.plugin import FileError, Host, UsageError, counted, output_directory, recognise, sha256
from qcore_kit.abilities import HasFiles
from qcore_kit.recordings import Recording

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

VERSION = 1
SUFFIX = ".partial"
NAME = f".predict{SUFFIX}"
"""The file in a folder of results; beside a file of results it is `FILE.partial`."""
KEY = "qcore_partial"


class Kept:
    """JSON lines: a header with what the results depend on, then one object per input, in order.

    Every line is flushed, so that even a killed process leaves all finished ones. The file is made with the first
    readable input and removed when the block ends well.

    Attributes:
        path: The file.
        count: How many inputs it holds.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], parts: Sequence[Any]) -> None:
        """Nothing is read or written yet.

        Args:
            path: The file.
            header: What the results depend on, as plain data by name.
            parts: Single inputs and recordings.
        """
        self.path = path
        self._parts = parts
        self._changed: str | None = None
        self.count = 0
        self._header: dict[str, Any] = {KEY: VERSION, **header}
        self._waiting = [json.dumps(self._header)]
        self._stream: IO[bytes] | None = None
        self._next = 0, 0

    def begin(self, *, resume: bool) -> bool:
        """Whether an earlier run of the same work is continued.

        Args:
            resume: Whether to continue one if there is one.

        Raises:
            FileError: The file belongs to other work, or is something else.
            UsageError: It belongs to this work, and `resume` is false; or another process is writing it.
        """
        if not self.path.exists():
            return False
        whole, header = self._examined()
        if not self.count:
            return False
        different = self._difference(header)
        if not resume:
            self._opened().close()  # not while another process writes it
            if different or self._changed:
                self.count, self._next = 0, (0, 0)
                return False
            raise UsageError(
                f"{self.path}: an interrupted run of this command left results of {counted(self.count, 'input')}",
                hint="add --resume to continue it, or delete the file to start again",
            )
        if different:
            raise FileError(
                f"{self.path}: belongs to a run with another {different}",
                hint="repeat the interrupted command, or delete the file to start again",
            )
        if self._changed:
            raise FileError(
                f"{self.path}: {self._changed} has changed since it was run", hint="delete the file to start again"
            )
        self._stream = self._opened()
        self._stream.truncate(whole)
        self._stream.seek(whole)
        self._waiting = []
        self._sweep()
        return True

    @property
    def next(self) -> tuple[int, int]:
        """Index of the part to continue with, and how many of its items are done."""
        return self._next

    @property
    def on_disk(self) -> bool:
        """Whether there is something to continue with."""
        return self._stream is not None and self.count > 0 and self.path.exists()

    def add(self, entry: Mapping[str, Any], *, readable: bool) -> None:
        """Keep the result of the next input; nothing is written before the first readable one.

        Raises:
            FileError: The folder cannot be written to, or is full.
        """
        entry = {**entry, "file": facts(self._parts[entry["part"]])}
        self._waiting.append(json.dumps(entry, default=str))
        if self._stream is None and not readable:
            return
        try:
            if self._stream is None:
                output_directory(self.path.parent)
                self._stream = self._opened()
                self._stream.truncate(0)
            self._stream.write("".join(f"{line}\n" for line in self._waiting).encode())
            self._stream.flush()
        except OSError as error:
            raise FileError(
                f"{self.path}: cannot be written ({error.strerror})", hint="free some space, or choose another -o"
            ) from error
        self.count += len(self._waiting) - (not self.count)
        self._waiting = []

    def entries(self, part: int | None = None) -> Iterator[dict[str, Any]]:
        """What is kept, of all parts or of one; one object in memory at a time."""
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream):
                if number > self.count:
                    return
                entry = json.loads(line)
                if number and part in (None, entry["part"]):
                    yield entry

    def __enter__(self) -> Kept:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is None:
            return
        if kind is None or not self.count:
            self.path.unlink(missing_ok=True)
        with suppress(OSError):  # what could not be flushed to a full disk
            self._stream.close()

    def _sweep(self) -> None:
        """Remove what a killed run left half-written of the file of results; nobody else writes it now."""
        out = Path(self.path.name.removesuffix(SUFFIX))
        left = re.compile(rf"\.{re.escape(out.stem)}(\.images)?-[a-z0-9_]{{8}}{re.escape(out.suffix)}")
        for file in self.path.parent.iterdir():
            if self.path.name != NAME and left.fullmatch(file.name):
                file.unlink(missing_ok=True)

    def _opened(self) -> IO[bytes]:
        stream = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        if fcntl:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                stream.close()
                raise UsageError(
                    f"{self.path}: another process is writing it", hint="wait for it, or choose another -o"
                ) from error
            except OSError:  # a file system without locks
                pass
        return stream

    def _difference(self, header: Mapping[str, Any]) -> str | None:
        """What of the header is different in this run, in words; None if all is equal."""
        keys = [*self._header, *header]
        return next((key.replace("_", " ") for key in keys if self._header.get(key) != header.get(key)), None)

    def _examined(self) -> tuple[int, Mapping[str, Any]]:
        """Bytes of all whole lines, and the header; a last line that was cut off is left out."""
        whole, header = 0, None
        try:
            with self.path.open("rb") as stream:
                for line in stream:
                    if not line.endswith(b"\n"):
                        break
                    entry = self._entry(line, header=header is None)
                    whole += len(line)
                    if header is None:
                        header = entry
                        continue
                    part = entry["part"]
                    if part < len(self._parts) and entry.get("file") != facts(self._parts[part]):
                        self._changed = self._changed or str(self._parts[part])
                    done = self._next[1] + 1 if part == self._next[0] else 1
                    self._next = (part + 1, 0) if entry.get("whole") else (part, done)  # whole: the end of a recording
                    self.count += 1
        except OSError as error:
            raise FileError(f"{self.path}: cannot be read ({error.strerror})", hint="check the file") from error
        return whole, header or {}

    def _entry(self, line: bytes, *, header: bool) -> dict[str, Any]:
        try:
            entry = json.loads(line)
            good = KEY in entry if header else entry["part"] >= 0 and isinstance(entry["document"]["results"], list)
        except (ValueError, TypeError, KeyError, RecursionError):
            good = False
        if not good or not isinstance(entry, dict):
            raise FileError(
                f"{self.path}: not the results of an interrupted run", hint="move the file away, or choose another -o"
            )
        return entry


def beside(out: str, *, folder: bool) -> Path:
    """The file that goes with results in a file, or in a folder."""
    return Path(out) / NAME if folder else Path(f"{Path(out)}{SUFFIX}")


def model(file: str, host: Host) -> str:
    """SHA-256 of all files of a model."""
    path = Path(file)
    _, format_ = recognise(path, host)
    return "".join(map(sha256, format_.files(path) if isinstance(format_, HasFiles) else [path]))


def names(parts: Sequence[Any]) -> str:
    """SHA-256 of the names of all inputs."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()


def facts(part: Any) -> list[int] | None:
    """What changes with the content of a file: its size, and the time of its last change in nanoseconds."""
    status = _status(str(part))
    return [status.st_size, status.st_mtime_ns] if status else None


def repeatable(parts: Sequence[Any]) -> bool:
    """Whether another run would read the same: recordings are files, not cameras."""
    return all(_status(str(part)) for part in parts if isinstance(part, Recording))


def _status(name: str) -> os.stat_result | None:
    try:
        return Path(name).stat()
    except OSError:
        return None
